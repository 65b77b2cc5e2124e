"""The services table: who may call what where, with which request, reply, size and time.

Data, not code. The policy, the rpc files, docs/protocol.md and the tests are checked against it.
A row that no role serves yet is reserved: its name, callers, limit and time are fixed, its
fields come with the program.
"""

import re
from dataclasses import dataclass
from enum import Enum

from qborg_wire import names
from qborg_wire.key_line import NO_QUOTA, QUOTA

PREFIX = "qborg."


class Role(Enum):
    """A trust domain. Its value is the folder, the package and the `service.qborg-X` feature."""

    DOM0 = "dom0"
    MAINTENANCE = "maintenance"
    CLIENT = "client"
    VAULT = "vault"
    WORKER = "worker"


@dataclass(frozen=True)
class Field:
    """One key of a request (JSON) or a reply (key=value) and the full match of its value."""

    name: str
    pattern: re.Pattern[str]
    limit: int
    many: bool = False  # a JSON list of such values; in requests only


@dataclass(frozen=True)
class Service:
    """One row. `limit` in bytes bounds the request and, progress lines aside, the reply."""

    name: str
    callers: tuple[Role, ...]
    callees: tuple[Role, ...]
    limit: int
    seconds: int
    argument: bool = True  # the repository; else none
    idle: bool = False  # seconds count from the last progress line
    root: bool = False
    before_role: bool = False  # answers also where dom0 has not switched the role on (ADR 1)
    served_by: tuple[Role, ...] = ()  # empty: reserved
    record: bool = False  # the request is one bundle or record, not a JSON request with a nonce
    request: tuple[Field, ...] = ()
    reply: tuple[Field, ...] = ()

    @property
    def full_name(self) -> str:
        """The name as qrexec and the policy spell it."""
        return PREFIX + self.name


def _oneof(name: str, *words: str) -> Field:
    return Field(name, re.compile("|".join(map(re.escape, words))), max(map(len, words)))


def _name(name: str, pattern: re.Pattern[str], limit: int, many: bool = False) -> Field:
    return Field(name, pattern, limit, many)


def _or(word: str, pattern: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(f"(?:{word}|{pattern.pattern})")


_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_VERSION = re.compile(r"none|[0-9]{1,3}(?:\.[0-9]{1,4}){1,3}[0-9a-z.+-]{0,20}")
_REPOSITORY = re.compile(f"{names.MACHINE.pattern}-{names.QUBE.pattern}")
_LIST = re.compile(f"none|{_REPOSITORY.pattern}(?: {_REPOSITORY.pattern})*")
# Of the surrogates only those that stand for bytes which are not UTF-8: others name no file.
_TEXT_PATH = re.compile(r"[^\x00-\x1f\x7f\ud800-\udc7f\udd00-\udfff]+")
_DIRECTORY = re.compile(r"/[^\x00-\x1f\x7f\ud800-\udc7f\udd00-\udfff]*")
_OLD_KEYS = re.compile(r"none|/[\x20-\x7e]*")

_KIB = 1024
_D, _M, _C, _V, _W = Role
_KEYHOLDER = (_M, _C)

# What dom0 is set up with: this computer and its one account.
_SETTINGS = (
    _name("machine", names.MACHINE, 16),
    _name("machine_id", names.NONCE, 32),
    _name("host", names.HOST, 253),
    _name("port", names.PORT, 5),
    _name("account", names.ACCOUNT, 32),
    _name("host_key", _or("unknown", names.FINGERPRINT), 50),
    _name("remote_borg", _or("probe", names.REMOTE_BORG), 32),
)

# What a client answers to its bundle; `aside`: files of the old scripts were in its place.
_INSTALLED = (
    _name("bundle", names.DIGEST, 64), _oneof("changed", "yes", "no"), _oneof("aside", "yes", "no"),
)

_ROWS = (
    Service(
        "CheckSetup", (_D,), (_M,), 4 * _KIB, 120, argument=False, served_by=(_M,),
        request=(
            *_SETTINGS, _name("repositories", _REPOSITORY, 48, many=True),
            _oneof("purpose", "set-up", "enrolment"),  # record anew, or find the same
        ),
        reply=(
            _name("admin_key", names.PUBLIC_KEY, 800),
            _name("host_key", names.FINGERPRINT, 50),
            _oneof("login", "ok", "refused", "untried"),
            _name("remote_borg", _or("none", names.REMOTE_BORG), 32),
            _name("borg", _VERSION, 40),
            _name("epoch", _NUMBER, 15),
            _name("occupied", _LIST, 2000),
            _oneof("provider", "generic", "rsync.net", "hetzner", "borgbase"),
            _oneof("access", "shell", "sftp", "borg", "unknown"),
            _oneof("keys", "ours", "awaited", "unknown"),
            _oneof("snapshots", "yes", "no", "unknown"),
        ),
    ),
    Service(
        "FirstLogin", (_D,), (_M,), _KIB, 300, argument=False, served_by=(_M,),
        request=_SETTINGS, reply=(_oneof("installed", "yes", "no"),),
    ),
    Service(
        "MakeKeys", (_D,), _KEYHOLDER, _KIB, 60, served_by=(_M,),
        request=(
            _name("quota", _or(f"keep|{NO_QUOTA}", QUOTA), 7),
            _name("directory", _OLD_KEYS, 400),  # the old scripts' keys to take over, or none
        ),
        reply=(
            _name("public_key", names.PUBLIC_KEY, 800),
            _name("fingerprint", names.FINGERPRINT, 50), _oneof("created", "yes", "no"),
            _name("quota", _or(NO_QUOTA, QUOTA), 7), _oneof("origin", "made", "imported"),
        ),
    ),
    Service(
        "PublishKeys", (_D,), (_M,), 64 * _KIB, 180, argument=False, idle=True, served_by=(_M,),
        request=(_name("repositories", _REPOSITORY, 48, many=True),),
        reply=(
            _name("epoch", _NUMBER, 15),
            _name("keys", _NUMBER, 6), _oneof("changed", "yes", "no"),
            _name("digest", names.DIGEST, 64), _name("awaited", _LIST, 2000),
        ),
    ),
    Service(
        "InitRepository", (_D,), _KEYHOLDER, _KIB, 300, served_by=(_M,),
        request=(_oneof("encryption", "repokey-blake2"),),
        reply=(
            _name("repository_id", names.DIGEST, 64), _name("key_digest", names.DIGEST, 64),
            _oneof("created", "yes", "no"),
        ),
    ),
    Service("SendRecord", (_D,), _KEYHOLDER, 256, 60),
    Service(
        "SendBundle", (_D,), (_M,), 256, 60, served_by=(_M,),
        request=(_name("client", names.QUBE, 31),), reply=_INSTALLED,
    ),
    Service("ForgetSecrets", (_D,), (_M,), 256, 30),
    Service("ObserveServer", (_D,), (_M,), 64 * _KIB, 120, argument=False),
    Service(
        "DescribeClient", (_D,), (_C,), 4 * _KIB, 20, argument=False,
        before_role=True, served_by=(_C,),
        request=(_name("host", names.HOST, 253), _name("port", names.PORT, 5)),
        reply=(
            _name("qube", names.QUBE, 31),
            _name("borg", _VERSION, 40), _name("borgmatic", _VERSION, 40),
            _oneof("cron", "running", "stopped", "missing"),
            _oneof("server", "reachable", "unreachable"),
            _name("host_key", _or("none", names.FINGERPRINT), 50),
            _name("repository", _or("none", _REPOSITORY), 48),
            _name("bundle", _or("none", names.DIGEST), 64),
            _name("endpoint", _or("none", names.DIGEST), 64),
            _name("last_success", _NUMBER, 15),
            _name("last_outcome", re.compile(r"[a-z][a-z-]{0,31}"), 32),
        ),
    ),
    Service(
        "StartSchedule", (_D,), (_C,), 256, 30, argument=False, root=True, served_by=(_C,),
        reply=(_oneof("cron", "running"),),
    ),
    Service(
        "RunBackup", (_D,), (_C,), 2 * _KIB, 600, idle=True, served_by=(_C,),
        reply=(
            _name("archive", names.ARCHIVE, 100),
            _name("files", _NUMBER, 15), _name("bytes", _NUMBER, 15),
            _name("sent", _NUMBER, 15), _name("warnings", _NUMBER, 6),
            _name("proof", names.DIGEST, 64),
        ),
    ),
    Service(
        "RestoreFiles", (_D,), (_C,), 64 * _KIB, 600, idle=True, served_by=(_C,),
        request=(
            _name("archive", names.ARCHIVE, 100),  # or the word latest
            _name("paths", _TEXT_PATH, 4096, many=True),
            _name("directory", _DIRECTORY, 4096),
        ),
        reply=(
            _name("archive", names.ARCHIVE, 100),
            _name("files", _NUMBER, 15), _name("bytes", _NUMBER, 15),
        ),
    ),
    Service("RemoveBundle", (_D,), (_C,), 256, 60),
    Service(
        "ProveRecord", (_D,), (_W, _C), _KIB, 300, served_by=(_C,),
        request=(_name("archive", names.ARCHIVE, 100),),
        reply=(_name("archives", _NUMBER, 9), _name("proof", names.DIGEST, 64)),
    ),
    Service("DescribeRecord", (_D,), (_V,), 16 * _KIB, 120),
    Service("ReleaseRecord", (_D,), (_V,), 16 * _KIB, 120),
    Service("PrintKit", (_D,), (_V,), 16 * _KIB, 120),
    Service(
        "InstallBundle", (_M,), (_C,), 64 * _KIB, 60, record=True, served_by=(_C,),
        reply=_INSTALLED,
    ),
    Service("StoreRecord", _KEYHOLDER, (_V,), 64 * _KIB, 60, record=True),
    Service("AcceptRecord", (_V,), (_W, _M, _C), 64 * _KIB, 60, record=True),
    Service("ServeRepository", (_W, _C), (_M,), 64 * _KIB, 600, idle=True, record=True),
)

SERVICES = {row.name: row for row in _ROWS}
