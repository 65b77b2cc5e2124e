"""Why a service could not do what it was asked: the words both sides know.

dom0 turns each into an error with an exit code and a hint (qvm_borg/errors.py).
"""

CAUSES = frozenset({
    "access-changed", "account-held", "account-missing", "accounts-several", "admin-key-locked",
    "admin-key-refused", "archive-missing", "bad-request", "borg-failed", "borg-missing",
    "borg-renamed", "borgmatic-missing", "bundle-missing", "bundle-refused", "connection-failed",
    "cron-missing", "delivery-failed", "directory-refused", "host-key-changed", "host-key-unknown",
    "import-refused", "internal", "key-in-use", "key-revoked", "keys-awaited", "keys-differ",
    "keys-missing", "locked", "login-refused", "no-space", "not-this-qube", "not-this-role",
    "password-awaited", "password-refused", "program-missing", "publish-refused", "quota-exceeded",
    "record-missing", "record-refused", "registry-stale", "repository-exists", "repository-kept",
    "repository-missing", "rotation-unfinished", "server-full", "server-unreachable",
    "settings-differ", "settings-missing", "source-missing", "time-out", "vault-full",
    "vault-refused", "wrong-caller", "wrong-passphrase",
})  # fmt: skip
