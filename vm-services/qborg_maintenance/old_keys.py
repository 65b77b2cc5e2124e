"""A directory of the old scripts, host-keys/NAME: read whole and bounded, or refused.

Runs in the maintenance qube. The files are a person's, copied around for years: nothing of them
is taken as it is, no link is followed, and no refusal repeats what they hold.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from qborg_borg.slots import SLOTS
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited
from qborg_service.secret import Secret
from qborg_wire import names

LIMIT = 8192  # bytes of one file
OLD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_PLACE = re.compile(rf"(?:[A-Za-z0-9_.@-]{{1,200}}:repos/)?({OLD_NAME.pattern})\n?")


@dataclass(frozen=True)
class OldKeys:
    """What one old directory holds: the repository's name, a key pair as it says, a passphrase."""

    name: str
    private: Secret
    public_key: str
    passphrase: Secret


def refusal(detail: str) -> ServiceFailure:
    """Answer the failure for keys that are not taken over."""
    return ServiceFailure("import-refused", detail)


def read(directory: Path, qube: str) -> OldKeys:
    """Answer what DIRECTORY holds, or what its folder named like the qube holds.

    Raises import-refused.
    """
    _check_folder(directory)
    if not os.path.lexists(directory / "borgrepo") and os.path.lexists(directory / qube):
        directory = directory / qube
        _check_folder(directory)
    place = _PLACE.fullmatch(_text(directory / "borgrepo"))
    if place is None:
        raise refusal("borgrepo: neither NAME nor HOST:repos/NAME")
    name = place[1]
    public = directory / f"{name}.openssh.pub"
    if not os.path.lexists(public):
        public = directory / f"{name}.pub"
    words = _text(public).split(" ")
    try:
        public_key = names.parse(names.PUBLIC_KEY, 800, " ".join(words[:2]).removesuffix("\n"))
    except names.NameRefused as error:
        raise refusal(f"{public.name}: no key of RSA up to 4096 bits, or ed25519") from error
    private = _data(directory / f"{name}.openssh")
    return OldKeys(name, Secret(private), public_key, _passphrase(directory))


def _passphrase(directory: Path) -> Secret:
    text = _text(directory / "borgpass").removesuffix("\n")
    if SLOTS["passphrase"].fullmatch(text) is None:
        raise refusal("borgpass: not 1 to 200 printable ASCII characters, a blank at no end; "
                      "`borg key change-passphrase`")
    return Secret(text.encode("ascii"))


def _check_folder(directory: Path) -> None:
    try:
        mode = directory.lstat().st_mode
    except OSError as error:
        raise refusal(f"{directory}: {error.strerror}") from error
    if not stat.S_ISDIR(mode):
        raise refusal(f"{directory}: no directory, or a link to one")


def _text(path: Path) -> str:
    return _data(path).decode("ascii", "replace")


def _data(path: Path) -> bytes:
    try:
        return read_limited(path, LIMIT)
    except FileRefused as error:
        raise refusal(f"{path.name}: {error}") from error
    except OSError as error:
        raise refusal(f"{path.name}: {error.strerror}") from error
