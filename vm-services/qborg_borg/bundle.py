"""The bundle, format 1: what a client gets, as data that is compared and never interpreted.

Made in maintenance, accepted in the client. A file is accepted only if it equals this package's
own skeleton with every slot filled by a value that matches; so there is no parser of YAML or
ssh_config here, and whatever can execute is a constant. Holds a client's secrets in memory; the
errors never repeat a byte of them.
"""

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qborg_borg import spelling
from qborg_borg.key_export import KEYFILE, REPOKEY
from qborg_borg.slots import SLOTS
from qborg_service.secret import Secret
from qborg_wire import names
from qborg_wire.names import Repository

RECORD_LIMIT = 65536  # bytes
FILE_LIMIT = 8192  # characters
KEY_FILE = "borgkey"  # only where the repository itself has no key
_FIXED: dict[str, object] = {"format": 1, "destination": "main", "transport": "direct"}
_SKELETONS = Path(__file__).parent / "skeletons"
_SLOT = re.compile(r"\{\{ ([a-z_]+) \}\}")


class BundleRefused(ValueError):
    """Bytes that are not a bundle for this qube. The message never repeats them."""


@dataclass(frozen=True)
class Bundle:
    """One client's files, each checked, and the values of their slots.

    `digest` is the sha256 of the record's bytes in hex. The values are public but for
    `passphrase` and the key inside `files`.
    """

    qube: str
    repository: Repository
    digest: str
    host: str
    port: str
    account: str
    host_key: str
    remote_borg: str
    public_key: str
    passphrase: Secret
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def encryption(self) -> str:
        """Borg's word for where the key is: in the repository, or a file of this bundle."""
        return KEYFILE if KEY_FILE in self.files else REPOKEY


def skeletons(repository: Repository, encryption: str = REPOKEY) -> dict[str, str]:
    """Answer the skeleton of each file of a bundle by the file's name; slots stand unfilled."""
    folders = (_SKELETONS, _SKELETONS / KEYFILE) if encryption == KEYFILE else (_SKELETONS,)
    return {
        path.name.removesuffix(".j2").replace("repository.", f"{repository}.", 1): path.read_text(
            encoding="ascii"
        )
        for folder in folders for path in sorted(folder.glob("*.j2"))
    }


def encode_bundle(repository: Repository, files: Mapping[str, str]) -> bytes:
    """Answer the record's bytes: JSON in the one spelling that the receiver accepts."""
    record = dict(_FIXED, qube=repository.qube, repository=str(repository), files=dict(files))
    return spelling.spell(record)


def match_bundle(untrusted_record: bytes, own_qube: str) -> Bundle:
    """Answer the bundle that a record holds; raises BundleRefused unless it is for this qube."""
    try:
        untrusted_object = spelling.read(untrusted_record, RECORD_LIMIT)
    except spelling.SpellingRefused as error:
        raise BundleRefused(f"the bundle: {error}") from error
    if set(untrusted_object) != {*_FIXED, "qube", "repository", "files"}:
        raise BundleRefused("other keys than a bundle has")
    for key, value in _FIXED.items():
        if (type(untrusted_object[key]), untrusted_object[key]) != (type(value), value):
            raise BundleRefused(f"this package does not know the bundle's {key}")
    if untrusted_object["qube"] != own_qube:
        raise BundleRefused("the bundle is for another qube")
    repository = _own_repository(untrusted_object["repository"], own_qube)
    return match_files(untrusted_object["files"], repository)


def match_files(untrusted_files: object, repository: Repository) -> Bundle:
    """Answer the bundle that these files (name to text) make for a repository.

    For a record, and for a generation read back from disk. Raises BundleRefused.
    """
    if not isinstance(untrusted_files, dict):
        raise BundleRefused("other files than a bundle has")
    expected = skeletons(repository, KEYFILE if KEY_FILE in untrusted_files else REPOKEY)
    if set(untrusted_files) != set(expected):
        raise BundleRefused("other files than a bundle has")
    values = {"qube": repository.qube, "repository": str(repository)}
    for name, skeleton in expected.items():
        for slot, value in _match(name, skeleton, untrusted_files[name]).items():
            if values.setdefault(slot, value) != value:
                raise BundleRefused(f"{name}: another {slot} than in the rest of the bundle")
    files = {str(name): str(untrusted_files[name]) for name in expected}
    return Bundle(
        qube=repository.qube, repository=repository,
        digest=hashlib.sha256(encode_bundle(repository, files)).hexdigest(),
        host=values["host"], port=values["port"], account=values["account"],
        host_key=values["host_key"], remote_borg=values["remote_borg"],
        public_key=values["public_key"], passphrase=Secret(values["passphrase"].encode("ascii")),
        files={name: text.encode("ascii") for name, text in files.items()},
    )


def with_values(bundle: Bundle, values: Mapping[str, str]) -> Bundle:
    """Answer the bundle with other values in some slots; raises BundleRefused."""
    known: dict[str, str] = {}
    for name, skeleton in skeletons(bundle.repository, bundle.encryption).items():
        known.update(_match(name, skeleton, bundle.files[name].decode("ascii")))
    return filled(bundle.repository, {**known, **values})


def filled(repository: Repository, values: Mapping[str, str]) -> Bundle:
    """Answer the bundle of these values, one for each slot; raises BundleRefused.

    It has a key file if there is a value for it.
    """
    encryption = KEYFILE if "borg_key" in values else REPOKEY
    slots = {"minute": minute_of(repository), **values,
             "qube": repository.qube, "repository": str(repository)}
    texts = {name: _SLOT.sub(lambda slot: slots[slot[1]], skeleton)
             for name, skeleton in skeletons(repository, encryption).items()}
    return match_files(texts, repository)


def minute_of(repository: Repository) -> str:
    """Answer the minute at which a client's schedule wakes: spread over the hour by name."""
    return str(hashlib.sha256(str(repository).encode("ascii")).digest()[0] % 60)


def _own_repository(untrusted_repository: object, own_qube: str) -> Repository:
    try:
        repository = names.parse_repository(untrusted_repository)
    except names.NameRefused as error:
        raise BundleRefused("the bundle names no repository") from error
    if repository.qube != own_qube:
        raise BundleRefused("the repository is another qube's")
    return repository


def _match(name: str, skeleton: str, untrusted_text: object) -> dict[str, str]:
    if not isinstance(untrusted_text, str) or len(untrusted_text) > FILE_LIMIT:
        raise BundleRefused(f"{name}: not a text, or too long")
    match = _pattern(skeleton).fullmatch(untrusted_text)
    if match is None:
        raise BundleRefused(f"{name}: it differs from this package's skeleton")
    return match.groupdict()


@functools.cache
def _pattern(skeleton: str) -> re.Pattern[str]:
    """Turn a skeleton into the pattern of all its fillings, the same slot the same value."""
    parts = _SLOT.split(skeleton)
    pattern, seen = "", set[str]()
    for position, part in enumerate(parts):
        if position % 2 == 0:
            pattern += re.escape(part)
        elif part in seen:
            pattern += f"(?P={part})"
        else:
            pattern += f"(?P<{part}>{SLOTS[part].pattern})"
            seen.add(part)
    return re.compile(pattern)
