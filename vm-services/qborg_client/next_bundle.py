"""The bundle that is being prepared here: its own keys, until it is adopted or dropped.

Runs in clients that are their own keyholder: at an enrolment with `--keys client`, and whenever
secrets are rotated. It lies beside the generations, is as private as they are, and survives a
kill; the installed bundle stays what every backup uses.
"""

import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qborg_borg import birth, key_export
from qborg_borg import bundle as bundles
from qborg_borg.bundle import Bundle, BundleRefused
from qborg_borg.key_export import KEYFILE, REPOKEY
from qborg_client import generation
from qborg_client.paths import Paths
from qborg_service import ssh_key
from qborg_service.failure import ServiceFailure
from qborg_service.files import read_limited, sync_directory, write_private
from qborg_wire import names
from qborg_wire.names import Repository

FIRST = "0" * 32  # the rotation of an enrolment
_ROTATION = "rotation"
_CONTINUES = "continues"
_PASSPHRASE_BYTES = 32
_CURRENT = "~/.ssh/backups/"  # where a bundle's ssh configuration looks for its files


@dataclass(frozen=True)
class Next:
    """A bundle in preparation, in a directory of its own; `rotation` is dom0's name for it.

    `repository_id` is borg's, of a repository to go on with; else empty.
    """

    folder: Path
    bundle: Bundle
    rotation: str
    repository_id: str = ""

    @property
    def export(self) -> Path:
        """The repository's key under this bundle's passphrase, as borg exported it."""
        return self.folder / "key-export"

    @property
    def key_file(self) -> Path:
        """The repository's key as borg itself reads and changes it, if that is no repokey."""
        return self.folder / bundles.KEY_FILE

    @property
    def encryption(self) -> str:
        """Borg's word for where the key is."""
        return KEYFILE if self.key_file.exists() else REPOKEY

    def finished(self) -> Bundle:
        """Answer the bundle to install, with the key as it was exported last if it has that."""
        if self.encryption == REPOKEY:
            return self.bundle
        export = read_limited(self.export, birth.EXPORT_LIMIT)
        return _filled(self.bundle.repository, key_export.slots(export), self.bundle)

    @property
    def record(self) -> Path:
        """The recovery record as it was sent to the vault last."""
        return self.folder / "record"

    @property
    def ssh_command(self) -> str:
        """How borg reaches the server by this bundle's own key, and by no other."""
        return f"ssh -F {self.folder / 'ssh_config'}"


def find(paths: Paths) -> Next | None:
    """Answer the bundle in preparation, None if there is none; raises bundle-refused."""
    folder = paths.generations / "next"
    if not folder.exists():
        return None
    rotation = _read(folder / _ROTATION, names.NONCE)
    found = generation.read(folder / "files")
    if found is None or rotation is None:
        raise ServiceFailure("bundle-refused", f"{folder} is damaged")
    return Next(folder, found, rotation, _read(folder / _CONTINUES, names.DIGEST) or "")


def own(paths: Paths, repository: Repository, continues: Repository | None) -> Next | None:
    """Answer the bundle in preparation of a repository; another one's, and a damaged one, is put
    aside: a copy has the original's, and what may be the last of its kind is not thrown away.

    With `continues` so is one that goes on with no repository, as what was restored has of a
    rotation that was cut.
    """
    try:
        found = find(paths)
    except ServiceFailure:
        found = None
    if found is not None and found.bundle.repository == repository and (
            found.repository_id or continues is None):
        return found
    folder = paths.generations / "next"
    if folder.exists():
        folder.rename(paths.generations / f"next-{secrets.token_hex(8)}")
    return None


def required(paths: Paths, repository: Repository) -> Next:
    """Answer the bundle in preparation; raises keys-missing without one of this repository."""
    found = find(paths)
    if found is None or found.bundle.repository != repository:
        raise ServiceFailure("keys-missing", f"no bundle of {repository} is being prepared here")
    return found


def is_adopted(paths: Paths, rotation: str) -> bool:
    """Tell whether the installed bundle is the one of this rotation, or a later run's of it."""
    return rotation == FIRST or _read(paths.state / _ROTATION, names.NONCE) == rotation


def prepare(
    paths: Paths, repository: Repository, rotation: str, values: Mapping[str, str],
    base: Bundle | None, fresh: frozenset[str], repository_id: str = "",
) -> Next:
    """Prepare a bundle: `values` say where it leads; what is in `fresh` is made here and now.

    `fresh`: key and passphrase, both where there is no `base` and `values` have none.
    `repository_id`: of a repository to go on with. What a killed run left half made is removed.
    """
    generation.make_directories(paths)
    with generation.only_writer(paths):
        for killed in paths.generations.glob(".next.*"):
            shutil.rmtree(killed)
        made = Path(tempfile.mkdtemp(prefix=".next.", dir=paths.generations))
        try:
            filling = dict(values)
            if "key" in fresh:
                filling |= _new_key(made / "pair", repository)
            if "passphrase" in fresh:
                filling["passphrase"] = secrets.token_urlsafe(_PASSPHRASE_BYTES)
            bundle = _filled(repository, filling, base)
            generation.write(made / "files", bundle)
            folder = paths.generations / "next"
            config = bundle.files["bakserver"].replace(
                _CURRENT.encode("ascii"), f"{folder / 'files'}/".encode("ascii"))
            write_private(made / "ssh_config", config)
            if bundles.KEY_FILE in bundle.files:
                write_private(made / bundles.KEY_FILE, bundle.files[bundles.KEY_FILE])
            write_private(made / _ROTATION, f"{rotation}\n".encode("ascii"))
            if repository_id:
                write_private(made / _CONTINUES, f"{repository_id}\n".encode("ascii"))
            made.rename(folder)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        sync_directory(paths.generations)
    return Next(folder, bundle, rotation, repository_id)


def _filled(repository: Repository, filling: Mapping[str, str], base: Bundle | None) -> Bundle:
    try:
        if base is None:
            return bundles.filled(repository, filling)
        return bundles.with_values(base, filling)
    except BundleRefused as error:
        raise ServiceFailure("bundle-refused", str(error)) from error


def _new_key(folder: Path, repository: Repository) -> dict[str, str]:
    folder.mkdir(mode=0o700)
    private = folder / "key"
    ssh_key.make(private, str(repository))
    lines = read_limited(private, bundles.FILE_LIMIT).decode("ascii").strip().split("\n")
    public = ssh_key.public_key(private)
    shutil.rmtree(folder)
    return {"private_key": "\n".join(lines[1:-1]), "public_key": public}


def close(paths: Paths, found: Next) -> None:
    """Remember that this bundle was adopted, and have its directory out of the way."""
    paths.make_state()
    write_private(paths.state / _ROTATION, f"{found.rotation}\n".encode("ascii"))
    gone = paths.generations / f".next.{secrets.token_hex(8)}"
    found.folder.rename(gone)
    shutil.rmtree(gone)
    sync_directory(paths.generations)


def _read(path: Path, pattern: re.Pattern[str]) -> str | None:
    try:
        text = read_limited(path, 128).decode("ascii", "replace")
        return names.parse(pattern, 64, text.removesuffix("\n"))
    except (OSError, names.NameRefused):
        return None
