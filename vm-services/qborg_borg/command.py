"""Which borg is run, with which arguments and environment: pure, nothing is started here.

Runs in the maintenance qube, in clients and in workers. It must not know how a passphrase is
stored: it gets one as a Secret and only names the descriptor through which borg will read it.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from qborg_service.secret import Secret

BORG = "/usr/bin/borg"
PATH = "/usr/local/bin:/usr/bin:/bin"
# What follows the qube in the name of an archive that its backups made, as borgmatic.yaml says:
# both a glob and a regular expression.
STAMP = re.sub("[YMDhms]", "[0-9]", "-YYYY-MM-DDThh:mm:ss")
LOCK_WAIT = 60  # seconds; borg's own default of one second loses against any other run


@dataclass(frozen=True)
class Access:
    """What opens one repository: where it is, over what, with which passphrase."""

    url: str
    remote_borg: str
    rsh: str
    passphrase: Secret
    base_dir: str | None = None  # None: borg's cache and security notes lie in the home
    host_id: str | None = None  # for a qube without network, whose borg knows itself by none
    key_file: Path | None = None  # where the key is, or would be, if the repository has none
    lock_wait: int = LOCK_WAIT  # seconds


def environment(access: Access, passphrase_fd: int | None, home: str) -> dict[str, str]:
    """Answer the closed environment of one run. The passphrase is not in it, its descriptor is.

    Without a descriptor borg asks for it.
    """
    variables = {
        "BORG_DISPLAY_PASSPHRASE": "no",
        "BORG_EXIT_CODES": "modern",
        "BORG_REMOTE_PATH": access.remote_borg,
        "BORG_RSH": access.rsh,
        "HOME": home,
        "LANG": "C.UTF-8",
        "PATH": PATH,
        "TZ": "UTC",  # borg tells times without their zone
    }
    if passphrase_fd is not None:
        variables["BORG_PASSPHRASE_FD"] = str(passphrase_fd)
    if access.base_dir is not None:
        variables["BORG_BASE_DIR"] = access.base_dir
    if access.host_id is not None:
        variables["BORG_HOST_ID"] = access.host_id
    if access.key_file is not None:
        variables["BORG_KEY_FILE"] = str(access.key_file)
    return variables


def argv(access: Access, tail: Sequence[str]) -> list[str]:
    """Answer the whole command line: our borg, machine-readable log, the given rest."""
    return [BORG, "--log-json", "--lock-wait", str(access.lock_wait), *tail]


def init(access: Access, encryption: str) -> list[str]:
    """Answer how to make the repository, and the directory above it where nobody else can."""
    return ["init", "--make-parent-dirs", "--encryption", encryption, "--", access.url]


def export_key(access: Access) -> list[str]:
    """Answer how to print the encrypted key on stdout."""
    return ["key", "export", "--", access.url]


def import_key(access: Access, path: str) -> list[str]:
    """Answer how to put an exported key, which lies in a file, into its repository."""
    return ["key", "import", "--", access.url, path]


def change_passphrase(access: Access) -> list[str]:
    """Answer how to put the key under another passphrase, which it asks for."""
    return ["key", "change-passphrase", "--", access.url]


def dry_create(access: Access, patterns: Sequence[str]) -> list[str]:
    """Answer how to list what an archive would take and leave out; the server is not asked."""
    given = [f"--pattern={pattern}" for pattern in patterns]
    return ["create", "--dry-run", "--list", "--exclude-caches", *given, "--", f"{access.url}::-"]


def list_archives(access: Access) -> list[str]:
    """Answer how to list the complete archives as JSON, oldest first; checkpoints stay hidden."""
    return ["list", "--json", "--", access.url]


def own_archives(access: Access, qube: str) -> list[str]:
    """Answer how to list as JSON the complete archives that a qube's backups made."""
    return ["list", "--json", "--glob-archives", f"{qube}{STAMP}", "--", access.url]


def list_files(access: Access, archive: str, paths: Sequence[str]) -> list[str]:
    """Answer how to list what `paths` are in an archive: type, size, owner, path, each up to a NUL.

    Of a byte that is not UTF-8, borg prints `?`; its JSON does so, too.
    """
    form = "{type} {size} {uid} {bpath}{NUL}"
    taken = [f"pp:{path}" for path in paths]
    return ["list", "--format", form, "--", f"{access.url}::{archive}", *taken]


def extract(
    access: Access, archive: str, paths: Sequence[str], never: Sequence[str] = ()
) -> list[str]:
    """Answer how to extract into the working directory, with progress.

    `paths` are taken literally with all below them, none means everything; `never` wins.
    """
    excluded = [f"--exclude=pp:{path}" for path in never]
    taken = [f"pp:{path}" for path in paths]
    return ["extract", "--progress", "--list", *excluded, "--", f"{access.url}::{archive}", *taken]


def extract_to_stdout(access: Access, archive: str, path: str) -> list[str]:
    """Answer how to print the content of one file of an archive on stdout.

    Not by `pf:`, of which borg never tells that there is nothing of that name.
    """
    return ["extract", "--stdout", "--", f"{access.url}::{archive}", f"pp:{path}"]


def serve(access: Access) -> list[str]:
    """Answer how ssh alone starts borg on the server, as borg itself would."""
    program, *options = shlex.split(access.rsh)
    host = urlsplit(access.url).hostname or ""
    path = program if program.startswith("/") else f"/usr/bin/{program}"
    return [path, *options, "--", host, access.remote_borg, "serve"]
