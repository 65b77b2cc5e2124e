"""The services table: who may call what where, with which request, reply, size and time.

Data, not code. The policy, the rpc files, docs/protocol.md and the tests are checked against it.
A row that no role serves yet is reserved: its name, callers, limit and time are fixed, its
fields come with the program.
"""

import re

from qborg_wire import names
from qborg_wire.key_line import NO_QUOTA, QUOTA
from qborg_wire.row import Field, Role, Service, either, oneof

_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_VERSION = re.compile(r"none|[0-9]{1,3}(?:\.[0-9]{1,4}){1,3}[0-9a-z.+-]{0,20}")
_REPOSITORY = re.compile(f"{names.MACHINE.pattern}-{names.QUBE.pattern}")
_LIST = re.compile(f"none|{_REPOSITORY.pattern}(?: {_REPOSITORY.pattern})*")
_KEY = rf"{_REPOSITORY.pattern}:(?:missing|{names.DIGEST.pattern})"
_KEYS = re.compile(f"none|{_KEY}(?: {_KEY})*")
_KIT = re.compile(r"qubes-borg-kit/kit-[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Of the surrogates only those that stand for bytes which are not UTF-8: others name no file.
_TEXT_PATH = re.compile(r"[^\x00-\x1f\x7f\ud800-\udc7f\udd00-\udfff]+")
_DIRECTORY = re.compile(r"/[^\x00-\x1f\x7f\ud800-\udc7f\udd00-\udfff]*")
_OLD_KEYS = re.compile(r"none|/[\x20-\x7e]*")

_KIB = 1024
_D, _M, _C, _V, _W = Role
_KEYHOLDER = (_M, _C)

# What dom0 is set up with: this computer and its one account.
_SETTINGS = (
    Field("machine", names.MACHINE, 16),
    Field("machine_id", names.NONCE, 32),
    Field("host", names.HOST, 253),
    Field("port", names.PORT, 5),
    Field("account", names.ACCOUNT, 32),
    Field("host_key", either("unknown", names.FINGERPRINT), 50),
    Field("remote_borg", either("probe", names.REMOTE_BORG), 32),
)

# What a client answers to its bundle; `aside`: files of the old scripts were in its place.
_INSTALLED = (
    Field("bundle", names.DIGEST, 64), oneof("changed", "yes", "no"), oneof("aside", "yes", "no"),
)
_RECORD = Field("record", names.DIGEST, 64)
# What a vault answers to a record, and who sent it repeats.
_KEPT = (_RECORD, oneof("changed", "yes", "no"))

_ROWS = (
    # purpose: record what is found, or find the same. revoked: kept, and their keys open nothing.
    Service("CheckSetup", (_D,), (_M,), 4 * _KIB, 120, argument=False, served_by=(_M,),
            request=(
                *_SETTINGS, Field("repositories", _REPOSITORY, 48, many=True),
                oneof("purpose", "set-up", "enrolment")),
            reply=(
                Field("admin_key", names.PUBLIC_KEY, 800),
                Field("host_key", names.FINGERPRINT, 50),
                oneof("login", "ok", "refused", "untried"),
                Field("remote_borg", either("none", names.REMOTE_BORG), 32),
                Field("borg", _VERSION, 40), Field("epoch", _NUMBER, 15),
                Field("occupied", _LIST, 2000), Field("revoked", _LIST, 2000),
                oneof("provider", "generic", "rsync.net", "hetzner", "borgbase"),
                oneof("access", "shell", "sftp", "borg", "unknown"),
                oneof("keys", "ours", "awaited", "unknown"),
                oneof("snapshots", "yes", "no", "unknown"))),
    Service("FirstLogin", (_D,), (_M,), _KIB, 300, argument=False, served_by=(_M,),
            request=_SETTINGS,
            reply=(oneof("installed", "yes", "no"),)),
    # directory: of the old scripts' keys to take over, or none.
    Service("MakeKeys", (_D,), _KEYHOLDER, _KIB, 60, served_by=(_M,),
            request=(
                Field("quota", either(f"keep|{NO_QUOTA}", QUOTA), 7),
                Field("directory", _OLD_KEYS, 400)),
            reply=(
                Field("public_key", names.PUBLIC_KEY, 800),
                Field("fingerprint", names.FINGERPRINT, 50), oneof("created", "yes", "no"),
                Field("quota", either(NO_QUOTA, QUOTA), 7), oneof("origin", "made", "imported"),
                oneof("secrets", "kept", "forgotten"))),
    Service("PublishKeys", (_D,), (_M,), 64 * _KIB, 180, argument=False, idle=True,
            served_by=(_M,),
            request=(Field("repositories", _REPOSITORY, 48, many=True),),
            reply=(
                Field("epoch", _NUMBER, 15), Field("keys", _NUMBER, 6),
                oneof("changed", "yes", "no"), Field("digest", names.DIGEST, 64),
                Field("awaited", _LIST, 2000))),
    # stage: before and after a publication.
    Service("RevokeKeys", (_D,), (_M,), 2 * _KIB, 180, idle=True, served_by=(_M,),
            request=(
                oneof("stage", "mark", "finish"), oneof("quarantine", "keep", "yes", "no"),
                oneof("secrets", "keep", "remove"), oneof("repository", "keep", "delete")),
            reply=(
                Field("public_key", either("none", names.PUBLIC_KEY), 800),
                Field("fingerprint", either("none", names.FINGERPRINT), 50),
                Field("quota", either(NO_QUOTA, QUOTA), 7), oneof("changed", "yes", "no"),
                oneof("key", "unasked", "taken", "refused"),
                oneof("secrets", "none", "kept", "removed"),
                oneof("repository", "kept", "frozen", "deleted", "missing"))),
    Service("InitRepository", (_D,), _KEYHOLDER, _KIB, 300, served_by=(_M,),
            request=(oneof("encryption", "repokey-blake2"),),
            reply=(
                Field("repository_id", names.DIGEST, 64), Field("key_digest", names.DIGEST, 64),
                oneof("created", "yes", "no"))),
    Service("SendRecord", (_D,), _KEYHOLDER, 256, 60, served_by=(_M,), reply=_KEPT,
            request=(Field("vault", names.QUBE, 31),)),
    Service("SendBundle", (_D,), (_M,), 256, 60, served_by=(_M,), reply=_INSTALLED,
            request=(Field("client", names.QUBE, 31),)),
    Service("ForgetSecrets", (_D,), (_M,), 256, 30, served_by=(_M,),
            reply=(oneof("changed", "yes", "no"),)),
    Service("ObserveServer", (_D,), (_M,), 64 * _KIB, 120, argument=False, served_by=(_M,),
            request=(Field("repositories", _REPOSITORY, 48, many=True),),
            reply=(Field("keys", _KEYS, 60000),)),
    Service("DescribeClient", (_D,), (_C,), 4 * _KIB, 20, argument=False, before_role=True,
            served_by=(_C,),
            request=(Field("host", names.HOST, 253), Field("port", names.PORT, 5)),
            reply=(
                Field("qube", names.QUBE, 31), Field("borg", _VERSION, 40),
                Field("borgmatic", _VERSION, 40), oneof("cron", "running", "stopped", "missing"),
                oneof("server", "reachable", "unreachable"),
                Field("host_key", either("none", names.FINGERPRINT), 50),
                Field("repository", either("none", _REPOSITORY), 48),
                Field("bundle", either("none", names.DIGEST), 64),
                Field("endpoint", either("none", names.DIGEST), 64),
                Field("last_success", _NUMBER, 15),
                Field("last_outcome", re.compile(r"[a-z][a-z-]{0,31}"), 32))),
    Service("StartSchedule", (_D,), (_C,), 256, 30, argument=False, root=True, served_by=(_C,),
            reply=(oneof("cron", "running"),)),
    Service("RunBackup", (_D,), (_C,), 2 * _KIB, 600, idle=True, served_by=(_C,),
            reply=(
                Field("archive", names.ARCHIVE, 100), Field("files", _NUMBER, 15),
                Field("bytes", _NUMBER, 15), Field("sent", _NUMBER, 15),
                Field("warnings", _NUMBER, 6), Field("proof", names.DIGEST, 64))),
    # archive: or the word latest.
    Service("RestoreFiles", (_D,), (_C,), 64 * _KIB, 600, idle=True, served_by=(_C,),
            request=(
                Field("archive", names.ARCHIVE, 100), Field("paths", _TEXT_PATH, 4096, many=True),
                Field("directory", _DIRECTORY, 4096)),
            reply=(
                Field("archive", names.ARCHIVE, 100), Field("files", _NUMBER, 15),
                Field("bytes", _NUMBER, 15))),
    Service("RenameBorg", (_D,), (_C,), 256, 60, served_by=(_C,),
            request=(Field("remote_borg", names.REMOTE_BORG, 32),),
            reply=(Field("bundle", names.DIGEST, 64), oneof("changed", "yes", "no"))),
    # The user's own two files: they stay once the user has changed them.
    Service("RemoveBundle", (_D,), (_C,), 256, 60, served_by=(_C,),
            reply=(oneof("changed", "yes", "no"), oneof("settings", "removed", "kept", "none"))),
    Service("ProveBundle", (_D,), (_C,), _KIB, 300, served_by=(_C,),
            request=(Field("archive", names.ARCHIVE, 100),),
            reply=(Field("archives", _NUMBER, 9), Field("proof", names.DIGEST, 64))),
    # lender: who serves the repository to this worker.
    Service("ProveRecord", (_D,), (_W,), _KIB, 300, served_by=(_W,),
            request=(Field("archive", names.ARCHIVE, 100), Field("lender", names.QUBE, 31)),
            reply=(
                Field("archives", _NUMBER, 9), Field("proof", names.DIGEST, 64), _RECORD)),
    Service("RepairKey", (_D,), (_W,), _KIB, 300, served_by=(_W,),
            request=(Field("lender", names.QUBE, 31),), reply=_KEPT),
    Service("DescribeRecord", (_D,), (_V,), 16 * _KIB, 120, served_by=(_V,),
            reply=(
                Field("record", either("none", names.DIGEST), 64),
                Field("key", either("none", names.DIGEST), 64), Field("made", _NUMBER, 15),
                Field("versions", _NUMBER, 6))),
    Service("ReleaseRecord", (_D,), (_V,), 16 * _KIB, 120, served_by=(_V,),
            request=(Field("receiver", names.QUBE, 31),), reply=(_RECORD,)),
    # machine: or * for the only one. maintenance: the qube whose account it is.
    Service("DescribeAccount", (_D,), (_V,), 4 * _KIB, 120, argument=False, before_role=True,
            served_by=(_V,), request=(Field("machine", either(r"\*", names.MACHINE), 16),),
            reply=(*_SETTINGS, Field("epoch", _NUMBER, 15), _RECORD,
                   Field("maintenance", names.QUBE, 31))),
    # account: here already, or expected from this vault, and only that record.
    Service("ExpectAccount", (_D,), (_M,), _KIB, 30, argument=False, served_by=(_M,),
            request=(*_SETTINGS, Field("vault", names.QUBE, 31), _RECORD),
            reply=(oneof("account", "expected", "here"),)),
    # repositories: each must be there; others: and what else of that computer is. file: below the
    # home, less .html and .txt.
    Service("PrintKit", (_D,), (_V,), 16 * _KIB, 120, argument=False, served_by=(_V,),
            request=(
                Field("machine", names.MACHINE, 16),
                Field("repositories", _REPOSITORY, 48, many=True), oneof("others", "yes", "no")),
            reply=(
                Field("file", _KIT, 34), Field("repositories", _NUMBER, 6),
                Field("pages", _NUMBER, 6))),
    Service("InstallBundle", (_M,), (_C,), 64 * _KIB, 60, record=True, served_by=(_C,),
            reply=_INSTALLED),
    Service("StoreRecord", _KEYHOLDER, (_V,), 64 * _KIB, 60, record=True, served_by=(_V,),
            reply=_KEPT),
    Service("AcceptRecord", (_V,), (_W, _C), 64 * _KIB, 60, record=True, served_by=(_W,),
            reply=(_RECORD,)),
    Service("AcceptAccount", (_V,), (_M,), 64 * _KIB, 60, record=True, served_by=(_M,),
            reply=(_RECORD,)),
    Service("LendRepository", (_D,), (_M,), 256, 30, served_by=(_M,),
            request=(Field("worker", names.QUBE, 31),),
            reply=(oneof("lent", "yes"),)),
    Service("ServeRepository", (_W, _C), (_M,), 64 * _KIB, 600, idle=True, stream=True,
            served_by=(_M,)),
)

SERVICES = {row.name: row for row in _ROWS}
