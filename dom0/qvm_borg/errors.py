"""What can go wrong, each with its exit code, a message for the operator and a hint.

Runs in dom0; pure. Exit codes are unique, below 64, and never those of qrexec or of a signal;
2 belongs to argparse, 128+N to signals. The words of qborg_wire.causes are mapped here.
"""

from qborg_wire.reply import Failure


class QvmBorgError(Exception):
    """anything that is not listed here"""

    exit_code = 1
    hint = "run the command again with -v to see each call"

    def __init_subclass__(cls, code: int, hint: str = "") -> None:
        cls.exit_code, cls.hint = code, hint or QvmBorgError.hint

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint or type(self).hint


_SETUP = "run `qvm-borg-setup --server ACCOUNT@HOST`; its --help explains the way"
_ENROLL = "run `qvm-borg-enroll NAME --no-escrow`"
_INSTALL = "install it in the qube's template, shut down template and qube, and try again"
_RELEASE = "use the same release of qubes-borg in dom0 and templates; else distrust that qube"
_LOOK = "look at the qube with `qvm-ls NAME`, start it, and try again"


class SettingsError(QvmBorgError, code=3, hint=_SETUP):
    """the set-up is missing, incomplete, or says something else"""


class LockedError(QvmBorgError, code=4, hint="wait until it has ended, then try again"):
    """another qvm-borg command is running"""


class QubeUnavailable(QvmBorgError, code=5, hint=_LOOK):
    """a qube is missing, would not start, or went away during a call"""


class DeliveryRefused(QvmBorgError, code=6, hint="dom0's journal names the refused call: "
                      "`journalctl -u qubes-qrexec-policy-daemon`"):
    """a call from one qube to another was refused"""


class ServiceMissing(QvmBorgError, code=7, hint="install the role's package in the qube's "
                     "template, shut down template and qube, and try again"):
    """a qube does not have our service"""


class WireError(QvmBorgError, code=8, hint=_RELEASE):
    """a qube answered outside the contract; what it said is not shown"""


class BackupFailed(QvmBorgError, code=9, hint="`qborg-run` in the qube shows borg's own words"):
    """borg could not do its work"""


class AdminError(QvmBorgError, code=10, hint="run this in dom0 as your ordinary user; "
                 "`journalctl -u qubesd` says more"):
    """qubesd refused, or could not be reached"""


class PartialFailure(QvmBorgError, code=11, hint="mend the errors above and try again"):
    """some of several qubes failed"""


class ProofFailed(QvmBorgError, code=12, hint="do not rely on this repository: run `borgbak "
                  "check` in the qube, then back up again"):
    """what was read back from the repository is not what was backed up"""


class EnrolmentRefused(QvmBorgError, code=13):
    """a qube cannot be enrolled as it is"""


class EscrowMissing(QvmBorgError, code=14, hint="escrow comes with the vault; with --no-escrow "
                    "the secrets stay in the maintenance qube and in the qube, and nowhere else: "
                    "back up both with Qubes' own backup"):
    """there is no vault yet to keep the recovery record"""


class WaitingForServer(QvmBorgError, code=15, hint="add the line above to the server's "
                       ".ssh/authorized_keys and run `qvm-borg-setup` again; or, if the account "
                       "has a password, `qvm-borg-setup --password`"):
    """the server does not accept the admin key yet"""


class HostKeyError(QvmBorgError, code=16, hint="compare the fingerprint with your provider's "
                   "page; another key may be another machine"):
    """the server's host key is unknown, or not the confirmed one"""


class ServerUnreachable(QvmBorgError, code=17, hint="check the netvm and firewall of the qube, "
                        "and that the server is up"):
    """the server cannot be reached, or does not let us in"""


class ServerFull(QvmBorgError, code=18, hint="make space there; what was there is not lost"):
    """there is no space on the server, or the quota is used up"""


class RepositoryError(QvmBorgError, code=19):
    """the repository is missing, locked, or somebody else's"""


class ServiceTimeout(QvmBorgError, code=20, hint=_LOOK):
    """a qube did not answer in time"""


class NotFound(QvmBorgError, code=21):
    """an archive, file or key that was asked for is not there"""


class TemplateError(QvmBorgError, code=22, hint=_INSTALL):
    """a program that the role needs is not installed, or too old"""


class GateError(QvmBorgError, code=23, hint="it takes Qubes 4.3 and a user in the group `qubes`: "
                "look at /run/qubes/policy.d"):
    """the policy could not be opened for one call"""


class NotEnrolled(QvmBorgError, code=24, hint=_ENROLL):
    """the qube is not enrolled, or is a copy of one that is"""


class ServiceFailed(QvmBorgError, code=25, hint="`sudo journalctl` in that qube says more"):
    """a service of ours failed inside a qube"""


class AdminKeyLocked(QvmBorgError, code=26, hint="type its passphrase there, once for each start "
                     "of that qube: `qborg-admin unlock` in a terminal of NAME"):
    """the admin key has a passphrase that nobody has typed yet"""


# cause: class, message, hint (none: the class's own); NAME becomes the qube's name
_CAUSES: dict[str, tuple[type[QvmBorgError], str, str]] = {
    "access-changed": (SettingsError, "the account is not what the set-up found",
                       "run `qvm-borg-setup` again: it looks anew, and says what it finds"),
    "admin-key-locked": (AdminKeyLocked, "the admin key is locked", ""),
    "admin-key-refused": (ServiceFailed, "the admin key cannot be used",
                          "`qborg-admin --help` in that qube tells which keys can be"),
    "archive-missing": (NotFound, "there is no such archive", "`borgbak list` in it shows all"),
    "bad-request": (ServiceFailed, "the service did not understand dom0", _RELEASE),
    "borg-failed": (BackupFailed, "borg failed", ""),
    "borg-missing": (TemplateError, "there is no borg 1.2 or 1.4", "in a qube: install borgbackup "
                     "in its template; on the server: ask the provider, or set remote_borg"),
    "borg-renamed": (SettingsError, "the server has borg under another name now",
                     "`qvm-borg-setup --remote-borg` with the name that is said above, then "
                     "`qvm-borg-enroll` with all the enrolled qubes"),
    "borgmatic-missing": (TemplateError, "there is no borgmatic 1.8 or later", ""),
    "bundle-missing": (NotEnrolled, "no bundle has been delivered to it", ""),
    "bundle-refused": (ServiceFailed, "it refused its bundle", "mend that; or " + _RELEASE),
    "connection-failed": (ServerUnreachable, "the connection to the server broke", ""),
    "cron-missing": (TemplateError, "there is no cron", ""),
    "delivery-failed": (DeliveryRefused, "the bundle could not be delivered", ""),
    "directory-refused": (NotFound, "it cannot restore into this directory",
                          "name an absolute path, new or empty, that its user may write to"),
    "host-key-changed": (HostKeyError, "the server's host key is not the confirmed one", ""),
    "host-key-unknown": (HostKeyError, "the server's host key is not known", _SETUP),
    "import-refused": (NotFound, "the old keys cannot be taken over", "mend what is named; it "
                       "takes a directory of the old scripts' host-keys, copied into that qube"),
    "internal": (ServiceFailed, "the service failed in an unforeseen way", ""),
    "keys-awaited": (WaitingForServer, "the server does not accept its key yet",
                     "have the line above added to the account's keys, whole, and run the command "
                     "again; `--show-authorized-keys` prints it as well"),
    "keys-missing": (NotFound, "the keys of this repository are not there", _ENROLL),
    "locked": (RepositoryError, "the repository is locked",
               "wait for the other backup; if there is none: `borgbak break-lock` in the qube"),
    "login-refused": (ServerUnreachable, "the server refused the login",
                      "run `qvm-borg-setup`: it shows what .ssh/authorized_keys there must hold"),
    "no-space": (QubeUnavailable, "its private storage is full", "`qvm-volume resize` makes room"),
    "not-this-role": (QubeUnavailable, "it does not have this role", _SETUP),
    "not-this-qube": (EnrolmentRefused, "its bundle belongs to another qube",
                      "clones and disposables never back up; enrol a clone under its own name"),
    "password-awaited": (WaitingForServer, "nobody has typed the account's password there",
                         "type it in the window that opens there, or: `qborg-admin login` in a "
                         "terminal of that qube"),
    "password-refused": (ServerUnreachable, "the server did not take the password",
                         "look it up at your provider, and type it again"),
    "publish-refused": (ServerUnreachable, "authorized_keys was left as it was",
                        "read the reason, mend it, and try again"),
    "quota-exceeded": (ServerFull, "the quota is used up", ""),
    "registry-stale": (SettingsError, "the server knows a later state than the maintenance qube",
                       "that qube was restored from an old backup: restore a newer one"),
    "repository-exists": (RepositoryError, "its repository exists, with another key",
                          "move it away on the server, or restore the qube that made it"),
    "repository-missing": (RepositoryError, "its repository is not on the server", _ENROLL),
    "server-full": (ServerFull, "the server's disk is full", ""),
    "server-unreachable": (ServerUnreachable, "the server cannot be reached", ""),
    "settings-differ": (SettingsError, "it was set up for another machine or server",
                        "restore dom0's settings.toml or the maintenance qube, the older one"),
    "settings-missing": (SettingsError, "the set-up is not done", ""),
    "source-missing": (NotFound, "a path is not there",
                       "absolute paths, as in the qube; see its ~/.config/qubes-borg/patterns"),
    "time-out": (ServiceTimeout, "the service ran out of time", ""),
    "wrong-caller": (ServiceFailed, "the service does not serve dom0", _RELEASE),
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


def table() -> tuple[type[QvmBorgError], ...]:
    """Answer every class in the order of its exit code."""
    return tuple(sorted((QvmBorgError, *QvmBorgError.__subclasses__()),
                        key=lambda kind: kind.exit_code))
