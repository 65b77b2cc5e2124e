"""The server's authorized_keys: foreign bytes stay, and no key gets in without its restriction."""

import contextlib
import re

from fuzz.target import Shape, Target, Vocabulary
from fuzz.targets import samples
from qborg_maintenance import authorized_keys
from qborg_maintenance.authorized_keys import Document, KeysRefused
from qborg_wire.key_line import restricted_line

_SAID = Vocabulary(authorized_keys, inserts="dom-(?:work|mail)")
_ADMIN = samples.ed25519(1)
_LIVE = {
    "dom-work": [samples.ed25519(2), samples.ed25519(4)], "dom-mail": [samples.ed25519(3)]
}  # fmt: skip
_KEYS = authorized_keys.as_restricted(_LIVE)
_BEGIN = f"# BEGIN qubes-borg {samples.MACHINE} {samples.MACHINE_ID}"
_END = f"# END qubes-borg {samples.MACHINE} {samples.MACHINE_ID}"
_OURS = tuple(
    f'command="borg14 serve --append-only --restrict-to-repository repos/{each.repository}"'
    f",restrict {each.public_key} {each.repository}".encode("ascii")
    for each in _KEYS
)
# What sshd takes for a key without options: blanks and tabs, no other white space.
_PLAIN = re.compile(
    rb"[ \t]*" + rb"[ \t]+".join(map(re.escape, _ADMIN.encode().split())) + rb"(?:[ \t].*|\r*)",
    re.DOTALL,
)


def one(data: bytes) -> str:
    """Hold the parser, the checks and the renderer to their contract for one file."""
    try:
        document = authorized_keys.parse(data, samples.MACHINE, samples.MACHINE_ID)
    except KeysRefused as error:
        return _SAID.told(str(error))
    _check_parts(document, data)
    _check_listed(document, data)
    told = _check_keys(document)
    try:
        rendered = authorized_keys.render(
            document, samples.MACHINE, samples.MACHINE_ID, 8, "borg14", _KEYS
        )
    except KeysRefused as error:
        assert str(error) == "authorized_keys would be longer than 256 KiB"
        return _SAID.told(str(error))
    _check_rendered(document, data, rendered)
    return f"{'no block' if document.epoch is None else 'a block'}, {told}"


def _check_parts(document: Document, data: bytes) -> None:
    """Only whole lines of ours may be missing from the parts."""
    assert data.startswith(document.before) and data.endswith(document.after)
    block = data[len(document.before) : len(data) - len(document.after)]
    if document.epoch is None:
        assert block == document.after == document.block == b""
        return
    first, *lines, last = block.removesuffix(b"\n").split(b"\n")
    assert document.before[-1:] in (b"", b"\n") and (block[-1:] == b"\n" or not document.after)
    assert first == f"{_BEGIN} epoch={document.epoch}".encode("ascii")
    assert last == _END.encode("ascii")
    assert b"".join(line + b"\n" for line in lines) == document.block
    for line in lines:
        assert line.startswith(b'command="') and b'",restrict ' in line
        assert b" serve --append-only --restrict-to-repository repos/" in line


def _check_listed(document: Document, data: bytes) -> None:
    """What our block lists is what we would write there."""
    with contextlib.suppress(KeysRefused):
        for each in authorized_keys.listed(document, samples.MACHINE):
            line = restricted_line("borg14", each.repository, each.public_key, each.quota)
            assert line.partition(" serve ")[2].encode("ascii") in data


def _check_keys(document: Document) -> str:
    try:
        own = authorized_keys.less_foreign(_LIVE, document, _LIVE)
        authorized_keys.check_keys(document, _ADMIN, authorized_keys.as_restricted(own))
    except KeysRefused as error:
        return _SAID.told(str(error))
    assert any(_PLAIN.fullmatch(line) for line in document.foreign.split(b"\n"))
    for name, keys in own.items():
        blobs = [key.split(" ")[1].encode() for key in keys]
        assert keys[-1] == _LIVE[name][-1] and blobs[-1] not in document.foreign
        assert all(blob not in document.foreign or blob in document.block for blob in blobs)
    return "to be published"


def _check_rendered(document: Document, data: bytes, rendered: bytes) -> None:
    begin, end = f"{_BEGIN} epoch=8".encode("ascii"), _END.encode("ascii")
    assert len(rendered) <= authorized_keys.FILE_LIMIT
    new = set(rendered.split(b"\n")) - set(data.split(b"\n"))
    assert new <= {begin, end, *_OURS, b""}
    glue = b"" if document.before[-1:] in (b"", b"\n") else b"\n"
    block = b"".join(line + b"\n" for line in (begin, *_OURS, end))
    assert rendered == document.before + glue + block + document.after
    again = authorized_keys.parse(rendered, samples.MACHINE, samples.MACHINE_ID)
    ours = b"".join(line + b"\n" for line in _OURS)
    assert again == Document(document.before + glue, 8, document.after, ours)


def _block(epoch: int, *lines: bytes) -> bytes:
    begin = f"{_BEGIN} epoch={epoch}".encode("ascii")
    return b"".join(line + b"\n" for line in (begin, *lines, _END.encode("ascii")))


_ADMIN_LINE = _ADMIN.encode() + b" me@laptop\n"
_OTHER = _block(3, *_OURS).replace(b" dom ", b" desk ").replace(b"ab" * 16, b"cd" * 16)
_QUOTA = _OURS[0].replace(b'",restrict', b' --storage-quota 10G",restrict')
_MIXED = b'# mine\n\nfrom="10.0.0.0/8" ' + samples.RSA.encode() + b" x\n" + _ADMIN_LINE
TARGET = Target(
    "authorized-keys", one,
    (b"", _ADMIN_LINE, _ADMIN_LINE + _block(7, *_OURS), _MIXED + _block(7, _QUOTA) + _OTHER,
     _block(999999999) + _MIXED, _ADMIN_LINE + _OTHER + _block(1, *_OURS) + b"# caf\xe9"),
    (*samples.WORDS, _BEGIN.encode(), _END.encode(), b" epoch=7", b" epoch=07", b"# BEGIN ",
     b"# END ", b"qubes-borg", b",restrict", b"command=", b'command="id" ', b"--append-only",
     b"repos/", b" --storage-quota 5G", b"cert-authority ", b"restrict ", b"# begin qubes-borg",
     _ADMIN_LINE, *_OURS),
    Shape.LINES, authorized_keys.FILE_LIMIT,
)  # fmt: skip
