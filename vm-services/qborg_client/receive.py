"""Files of another qube's repository, in a directory here, by a record that the vault sent.

Runs in clients, and in disposables of them. Nothing of the record is on a disk, and no bundle comes
of it. The archive is another qube's, so borg may write to that directory alone; where no namespace
keeps it there, only a borg that keeps itself there is good enough.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from qborg_borg import archives, command, confinement, lender
from qborg_borg.bundle import KEY_FILE
from qborg_borg.key_export import KEYFILE
from qborg_borg.recovery_record import RecoveryRecord
from qborg_client import begun, effective, identity, installed, restore
from qborg_client.paths import Paths
from qborg_client.restore import OnProgress, Restored
from qborg_service import volatile
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private
from qborg_wire.names import Repository

SAFE = (1, 4, 5)  # CVE-2026-62268: a directory that an archive makes a link of


def require_safe() -> None:
    """Raise ServiceFailure where nothing would keep a hostile archive in its directory."""
    version = installed.version_of(command.BORG)
    if version is None:
        raise ServiceFailure("borg-missing", "borg is not installed in the template")
    if version < SAFE and not confinement.possible([volatile.folder()]):
        raise ServiceFailure("borg-unsafe", f"it is {effective.format_version(version)}")


def run(
    paths: Paths, record: RecoveryRecord, repository: Repository, lent_by: str, archive: str,
    wanted: Sequence[str], directory: str | None, on_progress: OnProgress,
) -> Restored:
    """Extract `wanted` (nothing: everything) into a directory, by default one named as the archive.

    There the latest is the one that a cut run has begun not long ago. Raises ServiceFailure.
    """
    require_safe()
    inside = [restore.archive_path(path) for path in wanted]
    with tempfile.TemporaryDirectory(prefix="receive-", dir=volatile.folder()) as base:
        access = lender.access(
            record, lent_by, base, _key_file(record, Path(base)), identity.own_qube())
        if directory is None:
            place = paths.home / "restored"
            asked = begun.Asked(access.url, archive, inside)
            cut = begun.below(place, asked) if archive == archives.LATEST else None
            archive = cut or archives.named(access, archive, repository.qube)
            directory = str(place / archive)
        target = restore.checked_directory(paths, directory)
        return restore.extract(
            access, repository.qube, archive, inside, restore.never(paths), target, [Path(base)],
            on_progress)


def _key_file(record: RecoveryRecord, base: Path) -> Path | None:
    if record.values["encryption"] != KEYFILE:
        return None
    write_private(base / KEY_FILE, record.values["key_export"].encode("ascii"))
    return base / KEY_FILE
