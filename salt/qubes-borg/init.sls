{#- Every role at once, as `qvm-borg-setup --salt` has it installed. -#}
include:
  - qubes-borg.install-client
  - qubes-borg.install-maintenance
  - qubes-borg.install-vault
  - qubes-borg.install-worker
