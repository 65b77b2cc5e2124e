"""What each archive holds of ours, by its name below the home that is backed up.

Runs in clients and workers.
"""

PROOF = ".local/state/qubes-borg/proof"  # new for each archive
MANIFEST = ".local/state/qubes-borg/manifest"  # what dom0 says that the qube is
