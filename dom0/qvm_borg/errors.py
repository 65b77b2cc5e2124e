"""What can go wrong, each with its exit code, a message for the operator and a hint.

Runs in dom0; pure. Exit codes are unique, below 64, and never those of qrexec or of a signal;
2 belongs to argparse, 128+N to signals. What a service reports is told in qvm_borg.failures.
"""


class QvmBorgError(Exception):
    """anything that is not listed here"""

    exit_code = 1
    hint = "run the command again with -v to see each call"

    def __init_subclass__(cls, code: int, hint: str = "") -> None:
        cls.exit_code, cls.hint = code, hint or QvmBorgError.hint

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint or type(self).hint


SETUP = "run `qvm-borg-setup --server ACCOUNT@HOST`; its --help explains the way"
ENROLL = "run `qvm-borg-enroll NAME`"
_INSTALL = "install it in the qube's template, shut down template and qube, and try again"
RELEASE = "use the same release of qubes-borg in dom0 and templates; else distrust that qube"
_LOOK = "look at the qube with `qvm-ls NAME`, start it, and try again"


class SettingsError(QvmBorgError, code=3, hint=SETUP):
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


class WireError(QvmBorgError, code=8, hint=RELEASE):
    """a qube answered outside the contract; what it said is not shown"""


class BackupFailed(QvmBorgError, code=9, hint="`qborg-run` in the qube shows borg's own words"):
    """borg could not do its work"""


class AdminError(QvmBorgError, code=10, hint="run this in dom0 as your ordinary user; "
                 "`journalctl -u qubesd` says more"):
    """qubesd refused, or could not be reached"""


class PartialFailure(QvmBorgError, code=11, hint="mend the errors above and try again"):
    """a part of what was asked for failed, and the rest is done"""


class ProofFailed(QvmBorgError, code=12, hint="do not rely on this repository: run `borgbak "
                  "check` in the qube, then back up again"):
    """what was read back from the repository is not what was backed up"""


class EnrolmentRefused(QvmBorgError, code=13):
    """a qube cannot be enrolled as it is"""


class EscrowMissing(QvmBorgError, code=14, hint="`qvm-borg-setup --vault NAME` names a qube of "
                    "yours without network, such as `vault`; or choose --no-escrow: the secrets "
                    "stay in the maintenance qube and the qube, and you back up both"):
    """there is no vault to keep the recovery record, or it has lost it"""


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


class NotEnrolled(QvmBorgError, code=24, hint=ENROLL):
    """the qube is not enrolled, or is a copy of one that is"""


class ServiceFailed(QvmBorgError, code=25, hint="`sudo journalctl` in that qube says more"):
    """a service of ours failed inside a qube"""


class AdminKeyLocked(QvmBorgError, code=26, hint="type its passphrase there, once for each start "
                     "of that qube: `qborg-admin unlock` in a terminal of NAME"):
    """the admin key has a passphrase that nobody has typed yet"""


class InTrouble(QvmBorgError, code=27, hint="`qvm-borg-status` says beside each what to do"):
    """a look at the backups found trouble that a person should mend"""


class NotConfirmed(QvmBorgError, code=28, hint="at a terminal it asks for the repository's name; "
                   "elsewhere --yes says that you mean it"):
    """what cannot be undone was not confirmed, and nothing was changed"""


def table() -> tuple[type[QvmBorgError], ...]:
    """Answer every class in the order of its exit code."""
    return tuple(sorted((QvmBorgError, *QvmBorgError.__subclasses__()),
                        key=lambda kind: kind.exit_code))
