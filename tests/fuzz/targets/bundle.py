"""The receiver: a record becomes a bundle only if every file is the skeleton, slots filled."""

import dataclasses
import hashlib
import json
import re

from fuzz.target import Shape, Target, Vocabulary
from fuzz.targets import samples
from qborg_borg import bundle, spelling
from qborg_borg.bundle import Bundle, BundleRefused
from qborg_borg.key_export import KEYFILE, REPOKEY
from qborg_borg.slots import SLOTS
from qborg_service.secret import Secret
from qborg_wire.names import Repository

OWN = "work"
_REPOSITORY = Repository("dom", OWN)
_SKELETONS = bundle.skeletons(_REPOSITORY, KEYFILE)
_PRIVATE = ("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
            + ("k" * 70 + "\n") * 4 + "e" * 40 + "==")
_GOOD = {
    "repository": str(_REPOSITORY), "qube": OWN, "host": "backup.example", "port": "22",
    "account": "zh1", "host_key": samples.ed25519(9), "remote_borg": "borg14",
    "passphrase": "hunter2_" + "x" * 35, "private_key": _PRIVATE,
    "public_key": samples.ed25519(2), "minute": "17",
}
# A refusal may name one of our own files or slots, never what stood in it.
_NAMES = [re.escape(name) for name in (*SLOTS, *_SKELETONS, "format", "destination", "transport")]
_SAID = Vocabulary(
    bundle, inserts="|".join(
        [*_NAMES, Vocabulary(spelling).pattern, r"[a-z][a-z0-9]{0,15}-work\.openssh(?:\.pub)?"])
)


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\{\{ ([a-z_]+) \}\}", lambda slot: values[slot[1]], text)


def _record(repository: Repository = _REPOSITORY, **changes: str) -> bytes:
    values = {**_GOOD, "repository": str(repository), **changes}
    encryption = KEYFILE if "borg_key" in changes else REPOKEY
    files = {name: _filled(text, values)
             for name, text in bundle.skeletons(repository, encryption).items()}
    return bundle.encode_bundle(repository, files)


def one(data: bytes) -> str:
    """Hold the receiver to its contract for one record."""
    try:
        found = bundle.match_bundle(data, OWN)
    except BundleRefused as error:
        return _SAID.told(str(error))
    assert found.qube == found.repository.qube == OWN
    assert found.digest == hashlib.sha256(data).hexdigest()
    texts = {name: content.decode("ascii") for name, content in found.files.items()}
    assert bundle.encode_bundle(found.repository, texts) == data
    assert json.loads(data)["files"] == texts
    values = _values(found, texts)
    for slot, value in values.items():
        assert SLOTS[slot].fullmatch(value), slot
    skeletons = bundle.skeletons(found.repository, found.encryption)
    assert texts == {name: _filled(text, values) for name, text in skeletons.items()}
    # A person's own passphrase may be a word that is shown anyway, so: no secret has a part in it.
    assert repr(found) == repr(dataclasses.replace(found, passphrase=Secret(b""), files={}))
    return "accepted"


def _values(found: Bundle, texts: dict[str, str]) -> dict[str, str]:
    key = texts[f"{found.repository}.openssh"].split("\n")
    id_line, _newline, body = texts.get(bundle.KEY_FILE, "").partition("\n")
    filed = {"repository_id": id_line.removeprefix("BORG_KEY "), "borg_key": body[:-1]}
    return {
        **(filed if bundle.KEY_FILE in texts else {}),
        "repository": str(found.repository), "qube": OWN, "host": found.host, "port": found.port,
        "account": found.account, "host_key": found.host_key, "remote_borg": found.remote_borg,
        "passphrase": found.passphrase.reveal().decode("ascii"), "public_key": found.public_key,
        "private_key": "\n".join(key[1:-2]),
        "minute": texts["bak.crontab"].split("\n")[2].split(" ")[0],
    }


_WORDS = (
    *samples.WORDS, *(value.encode() for value in _GOOD.values()), b"other-work",
    b"ProxyCommand id", b"before_backup: [id]", b"* * * * * id", b"command=\\\"id\\\" ", b"yes",
    b"Match exec id", b"@cert-authority ", b"/usr/bin/qborg-run", b"\\n", b"\\u0064", b"59", b"60",
)  # fmt: skip
TARGET = Target(
    "bundle", one,
    (_record(), _record(passphrase='my own "pass" $(x) %', public_key=samples.RSA),
     _record(host_key=samples.RSA, port="2222", minute="0"),
     _record(repository_id="1d" * 32, borg_key="hqlhbGdv" * 9 + "\nk2s="),
     _record(Repository("desk", OWN), host_key=samples.ECDSA, host="10.0.0.1")),
    _WORDS, Shape.JSON, bundle.RECORD_LIMIT,
)  # fmt: skip
