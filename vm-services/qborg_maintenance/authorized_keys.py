"""The server's authorized_keys: our block rendered, every other byte kept. Pure.

Runs in the maintenance qube. The file comes from the server and other people write it too, so
what is not surely ours is foreign, and what is neither refuses the whole file: one wrong line
locks the owner out or lets a client do more than append to its repository.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from qborg_wire import names
from qborg_wire.key_line import NO_QUOTA, restricted_line

FILE_LIMIT = 262144  # bytes
EPOCH_LIMIT = 10**9
_MARK = re.compile(
    rb"# (BEGIN|END) qubes-borg ([a-z][a-z0-9]{0,15}) ([0-9a-f]{32})(?: epoch=(0|[1-9][0-9]{0,8}))?"
)
_ALMOST_MARK = re.compile(rb"[\s\xef\xbb\xbf]*#[\s#]*(?:BEGIN|END)\s+qubes-borg", re.IGNORECASE)
_OURS = re.compile(
    rb'command="[a-z][a-z0-9._-]{0,31} serve --append-only --restrict-to-repository'
    rb' repos/([A-Za-z0-9_.-]{3,48})(?: --storage-quota ([0-9]{1,12}[KMGT]?))?",restrict'
    rb" ([a-z0-9-]{1,32} [A-Za-z0-9+/]{1,720}={0,2}) \1"
)
_OLD_LINE = (
    rb'command="(?:cd %(path)s; ?)?[a-z][a-z0-9._-]{0,31} serve --append-only'
    rb' --restrict-to-path %(path)s",no-port-forwarding,no-X11-forwarding,no-pty'
    rb",no-agent-forwarding,no-user-rc %(key)s(?: [^\n]*)?"
)
_BLANKS = re.compile(rb"[ \t]+")


class KeysRefused(ValueError):
    """A file or a set of keys that must not be published. The message repeats no line of it."""


class OtherComputer(KeysRefused):
    """The file holds a block of a computer with our name and another identity."""


@dataclass(frozen=True)
class Document:
    """The file in its parts: before our block, its epoch (None: no block), after it, its lines."""

    before: bytes
    epoch: int | None
    after: bytes
    block: bytes = b""

    @property
    def foreign(self) -> bytes:
        """All that is not ours, as one file."""
        return self.before + self.after

    def has_foreign(self, public_key: str) -> bool:
        """Tell whether a key stands in a line that is not ours."""
        return _blob(public_key) in self.foreign


@dataclass(frozen=True)
class Restricted:
    """One client's line: which repository the key may append to, and how much fits in it."""

    repository: names.Repository
    public_key: str
    quota: str = NO_QUOTA


def parse(untrusted_data: bytes, machine: str, machine_id: str) -> Document:
    """Split a file at the block of this computer; raises KeysRefused rather than guess."""
    if len(untrusted_data) > FILE_LIMIT:
        raise KeysRefused("authorized_keys is longer than 256 KiB")
    if b"\0" in untrusted_data:
        raise KeysRefused("authorized_keys holds a NUL byte")
    lines = _lines(untrusted_data)
    begin, end, epoch = _find_block(lines, machine.encode(), machine_id.encode())
    if begin is None or end is None:
        return Document(untrusted_data, None, b"")
    block = lines[begin + 1 : end]
    for line in block:
        if _OURS.fullmatch(line.removesuffix(b"\n")) is None:
            raise KeysRefused("a line inside our block is not ours; move it out of the block")
    return Document(
        b"".join(lines[:begin]), epoch, b"".join(lines[end + 1 :]), b"".join(block))


def listed(document: Document, machine: str) -> tuple[Restricted, ...]:
    """Answer the lines of our block in a file that was parsed; raises KeysRefused.

    Each must be one that this computer could have written.
    """
    lines = _lines(document.block)
    return tuple(_restricted(line.removesuffix(b"\n"), machine) for line in lines)


def _restricted(untrusted_line: bytes, machine: str) -> Restricted:
    match = _OURS.fullmatch(untrusted_line)
    if match is None:
        raise KeysRefused("a line inside our block is not ours")
    name, quota, key = (part.decode("ascii") for part in match.groups(b""))
    try:
        found = Restricted(names.parse_repository(name), names.parse(names.PUBLIC_KEY, 800, key),
                           names.parse(names.QUOTA, 7, quota) if quota else NO_QUOTA)
    except names.NameRefused as error:
        raise KeysRefused("a line inside our block is no line of ours") from error
    if found.repository.machine != machine:
        raise KeysRefused("a line inside our block is another computer's")
    return found


def _lines(data: bytes) -> list[bytes]:
    """Split at LF only, as sshd does; each line keeps its own."""
    return [line for line in re.split(rb"(?<=\n)", data) if line]


def _find_block(
    lines: list[bytes], machine: bytes, machine_id: bytes
) -> tuple[int | None, int | None, int]:
    begin, end, epoch = None, None, 0
    for number, line in enumerate(lines):
        mark = _MARK.fullmatch(line.removesuffix(b"\n"))
        if mark is None:
            if _ALMOST_MARK.match(line):
                raise KeysRefused("a marker line of qubes-borg was edited")
            continue
        if mark[2] != machine:
            continue
        if mark[3] != machine_id:
            raise OtherComputer("another computer of the same name publishes there")
        if mark[1] == b"BEGIN" and begin is None and mark[4] is not None:
            begin, epoch = number, int(mark[4])
        elif mark[1] == b"END" and begin is not None and end is None and mark[4] is None:
            end = number
        else:
            raise KeysRefused("the markers of our block are out of order")
    if (begin is None) != (end is None):
        raise KeysRefused("our block has no end")
    return begin, end, epoch


def without_old_lines(document: Document, former: Mapping[str, str]) -> Document:
    """Answer the document less the lines by which the old scripts let these keys in.

    `former` maps the old name of an imported repository to its public key. Only the very shape
    that the scripts wrote is taken, or that less its `cd`, which never worked; whatever else
    holds such a key stays, and less_foreign refuses it.
    """
    old = [
        re.compile(_OLD_LINE % {
            b"path": re.escape(f"repos/{name}").encode("ascii"),
            b"key": re.escape(key).encode("ascii"),
        })
        for name, key in former.items()
    ]

    def kept(data: bytes) -> bytes:
        return b"".join(line for line in _lines(data)
                        if not any(each.fullmatch(line.removesuffix(b"\n")) for each in old))

    return replace(document, before=kept(document.before), after=kept(document.after))


def less_foreign(
    keys: Mapping[str, Sequence[str]], document: Document, wanted: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Answer the keys of each repository less those that are foreign and not in our block yet.

    A client chooses its key, and may choose one that stands there for somebody else: it must stop
    no publication for the others. One of our block stays: by its other line alone it may do more.
    Raises KeysRefused if it is the newest key of a wanted repository.
    """
    own = dict[str, tuple[str, ...]]()
    for name, each in keys.items():
        foreign = [key for key in each if document.has_foreign(key)]
        if name in wanted and each[-1] in foreign:
            raise KeysRefused(f"the key of {name} also stands outside our block: a line too many "
                              "there, or a key that is not its own")
        own[name] = tuple(key for key in each if key not in foreign or _blob(key) in document.block)
    return own


def _blob(public_key: str) -> bytes:
    return public_key.split(" ")[1].encode("ascii")


def check_keys(document: Document, admin_key: str, keys: Iterable[Restricted]) -> None:
    """Raise KeysRefused unless the admin keeps an own line and each key stands for one repository.

    The admin's line must be foreign, so that it is kept byte for byte, and hold no options.
    """
    if not _has_plain_line(document.foreign, admin_key):
        raise KeysRefused("the admin key has no line of its own without options")
    seen_keys, seen_names = {_blob(admin_key)}, dict[str, str]()
    for key in keys:
        blob, name = _blob(key.public_key), str(key.repository)
        if blob in seen_keys:
            raise KeysRefused("one key stands for two")
        if seen_names.setdefault(name.lower(), name) != name:
            raise KeysRefused("two repositories differ only by case")
        seen_keys.add(blob)


def _has_plain_line(data: bytes, key: str) -> bool:
    wanted = key.encode("ascii").split(b" ")
    # Blanks and tabs only, as sshd does: to it other white space is part of a word.
    words = (_BLANKS.split(line.lstrip(b" \t").rstrip(b"\r\n")) for line in _lines(data))
    return any(each[:2] == wanted for each in words)


def render(
    document: Document, machine: str, machine_id: str, epoch: int,
    remote_borg: str, keys: Iterable[Restricted],
) -> bytes:
    """Answer the file with our block at its place, at the end if there was none.

    Raises KeysRefused (or NameRefused) for a value that could be more than a word of its line.
    """
    names.parse(names.MACHINE, 16, machine)
    names.parse(names.NONCE, 32, machine_id)
    if not 0 < epoch < EPOCH_LIMIT:
        raise KeysRefused("an epoch out of range")
    lines = [f"# BEGIN qubes-borg {machine} {machine_id} epoch={epoch}\n"]
    lines += [
        f"{restricted_line(remote_borg, key.repository, key.public_key, key.quota)}\n"
        for key in keys
    ]
    lines.append(f"# END qubes-borg {machine} {machine_id}\n")
    glue = b"\n" if document.before and not document.before.endswith(b"\n") else b""
    data = document.before + glue + "".join(lines).encode("ascii") + document.after
    if len(data) > FILE_LIMIT:
        raise KeysRefused("authorized_keys would be longer than 256 KiB")
    return data


def as_restricted(
    public_keys: Mapping[str, Sequence[str]], quotas: Mapping[str, str] = MappingProxyType({})
) -> tuple[Restricted, ...]:
    """Answer the lines for a mapping of repository name to public keys, sorted by name."""
    return tuple(
        Restricted(names.parse_repository(name), key, quotas.get(name, NO_QUOTA))
        for name, keys in sorted(public_keys.items())
        for key in keys
    )
