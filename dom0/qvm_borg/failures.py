"""What a service reported, or a call that brought no reply, as the error that a person reads.

Runs in dom0; pure. Each word of qborg_wire.causes has its row here.
"""

from qborg_wire.reply import Failure
from qvm_borg.errors import (
    ENROLL, RELEASE, SETUP, AdminKeyLocked, BackupFailed, DeliveryRefused, EnrolmentRefused,
    EscrowMissing, HostKeyError, NotEnrolled, NotFound, ProofFailed, QubeUnavailable,
    QvmBorgError, RepositoryError, ServerFull, ServerUnreachable, ServiceFailed, ServiceMissing,
    ServiceTimeout, SettingsError, TemplateError, WaitingForServer, WireError,
)

# cause: class, message, hint (none: the class's own); NAME becomes the qube's name
_CAUSES: dict[str, tuple[type[QvmBorgError], str, str]] = {
    "access-changed": (SettingsError, "the account is not what the set-up found",
                       "run `qvm-borg-setup` again: it looks anew, and says what it finds"),
    "admin-key-locked": (AdminKeyLocked, "the admin key is locked", ""),
    "admin-key-refused": (ServiceFailed, "the admin key cannot be used",
                          "`qborg-admin --help` in that qube tells which keys can be"),
    "archive-missing": (NotFound, "there is no such archive", "`borgbak list` in it shows all"),
    "bad-request": (ServiceFailed, "the service did not understand dom0", RELEASE),
    "borg-failed": (BackupFailed, "borg failed", ""),
    "borg-missing": (TemplateError, "there is no borg 1.2 or 1.4", "in a qube: install borgbackup "
                     "in its template; on the server: ask the provider, or set remote_borg"),
    "borg-renamed": (SettingsError, "the server has borg under another name now",
                     "`qvm-borg-setup --remote-borg` with the name that is said above, then "
                     "`qvm-borg-enroll` with all the enrolled qubes"),
    "borgmatic-missing": (TemplateError, "there is no borgmatic 1.8 or later", ""),
    "bundle-missing": (NotEnrolled, "no bundle has been delivered to it", ""),
    "bundle-refused": (ServiceFailed, "it refused its bundle", "mend that; or " + RELEASE),
    "connection-failed": (ServerUnreachable, "the connection to the server broke",
                          "check its network; `qvm-borg-setup` looks at the server and tells what "
                          "changed there, such as the name of its borg"),
    "cron-missing": (TemplateError, "there is no cron", ""),
    "delivery-failed": (DeliveryRefused, "what it sent could not be delivered", ""),
    "directory-refused": (NotFound, "it cannot restore into this directory",
                          "name an absolute path, new or empty, that its user may write to"),
    "host-key-changed": (HostKeyError, "the server's host key is not the confirmed one", ""),
    "host-key-unknown": (HostKeyError, "the server's host key is not known", SETUP),
    "import-refused": (NotFound, "the old keys cannot be taken over", "mend what is named; it "
                       "takes a directory of the old scripts' host-keys, copied into that qube"),
    "internal": (ServiceFailed, "the service failed in an unforeseen way", ""),
    "key-revoked": (EnrolmentRefused, "its key was revoked, and its repository is kept",
                    "`qvm-borg-revoke QUBE --delete-repository` frees the name; or move the "
                    "repository away on the server, or give the qube another name"),
    "keys-awaited": (WaitingForServer, "the server does not accept its key yet",
                     "have the line above added to the account's keys, whole, and run the command "
                     "again; `--show-authorized-keys` prints it as well"),
    "keys-differ": (ProofFailed, "the repository has another key than the recovery record",
                    "somebody changed it; the vault's record has the one of the enrolment"),
    "keys-missing": (NotFound, "the keys of this repository are not there", ENROLL),
    "locked": (RepositoryError, "the repository is locked",
               "wait for the other backup; if there is none: `borgbak break-lock` in the qube"),
    "login-refused": (ServerUnreachable, "the server refused the login",
                      "run `qvm-borg-setup`: it shows what .ssh/authorized_keys there must hold"),
    "no-space": (QubeUnavailable, "its private storage is full", "`qvm-volume resize` makes room"),
    "not-this-role": (QubeUnavailable, "it does not have this role", SETUP),
    "not-this-qube": (EnrolmentRefused, "its bundle belongs to another qube",
                      "clones and disposables never back up; enrol a clone under its own name"),
    "password-awaited": (WaitingForServer, "nobody has typed the account's password there",
                         "type it in the window that opens there, or: `qborg-admin login` in a "
                         "terminal of that qube"),
    "password-refused": (ServerUnreachable, "the server did not take the password",
                         "look it up at your provider, and type it again"),
    "program-missing": (TemplateError, "a program that it needs is not there", ""),
    "publish-refused": (ServerUnreachable, "authorized_keys was left as it was",
                        "read the reason, mend it, and try again"),
    "quota-exceeded": (ServerFull, "the quota is used up", ""),
    "record-missing": (EscrowMissing, "it has no recovery record of it", ENROLL),
    "record-refused": (ServiceFailed, "it refused the recovery record", RELEASE),
    "registry-stale": (SettingsError, "the server knows a later state than the maintenance qube",
                       "that qube was restored from an old backup: restore a newer one"),
    "repository-exists": (RepositoryError, "its repository exists, with another key",
                          "move it away on the server, or restore the qube that made it"),
    "repository-kept": (RepositoryError, "the repository was left as it is",
                        "read the reason; `--no-quarantine` ends a quarantine, and what else "
                        "stands in the way takes a person at the server"),
    "repository-missing": (RepositoryError, "its repository is not on the server", ENROLL),
    "server-full": (ServerFull, "the server's disk is full", ""),
    "server-unreachable": (ServerUnreachable, "the server cannot be reached", ""),
    "settings-differ": (SettingsError, "it was set up for another machine or server",
                        "restore dom0's settings.toml or the maintenance qube, the older one"),
    "settings-missing": (SettingsError, "the set-up is not done", ""),
    "source-missing": (NotFound, "a path is not there",
                       "absolute paths, as in the qube; see its ~/.config/qubes-borg/patterns"),
    "time-out": (ServiceTimeout, "the service ran out of time", ""),
    "vault-full": (QubeUnavailable, "the vault keeps no more records",
                   "move old versions out of its ~/.local/share/qubes-borg/records"),
    "vault-refused": (ServiceFailed, "the password database was left as it was",
                      "read the reason, mend it, and try again"),
    "wrong-caller": (ServiceFailed, "the service does not serve dom0", RELEASE),
    "wrong-passphrase": (RepositoryError, "its passphrase or key does not open the repository",
                         "somebody changed it: the key exported at enrolment opens it still"),
}

# exit status of a call that brought no reply; such a status is only a guess at what happened
_STATUSES: dict[int | None, tuple[type[QvmBorgError], str]] = {
    125: (QubeUnavailable, "its qrexec agent could not run the service"),
    126: (QubeUnavailable, "it refused the call"),
    127: (ServiceMissing, "it does not have the service"),
    255: (QubeUnavailable, "it went away during the call"),
}


def from_failure(qube: str, failure: Failure) -> QvmBorgError:
    """Answer the error for what a service reported; its detail has passed its own full match."""
    kind, message, hint = _CAUSES[failure.cause]
    detail = f" ({told})" if (told := failure.detail.removeprefix(f"{qube}: ")).strip("- ") else ""
    return kind(f"{qube}: {message}{detail}", (hint or kind.hint).replace("NAME", qube))


def from_status(qube: str, service: str, status: int | None) -> QvmBorgError:
    """Answer the error for a call that ended with no reply at all."""
    kind, message = _STATUSES.get(status, (WireError, "it did not answer"))
    return kind(f"{qube}: {message} ({service})", kind.hint.replace("NAME", qube))
