"""What a delivery has brought, taken out again: bundle, line, block, notes; a person's own stays.

Runs in clients. All that could speak against it is asked first; then the schedule goes before the
secrets, so that a killed run leaves nothing that still works, and the next one goes on.
"""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from qborg_borg.bundle import Bundle
from qborg_client import crontab, generation, identity, settings, sources, ssh_config, state
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited
from qborg_wire.names import Repository

REMOVED, KEPT, NONE = "removed", "kept", "none"
_LIMIT = 256 * 1024
_ID = re.compile("[0-9a-f]{64}")


def undo(paths: Paths, repository: Repository) -> tuple[bool, str]:
    """Answer whether anything was removed, and what became of the user's two files.

    Those stay if the user has changed them. Raises ServiceFailure, then nothing is changed:
    not-this-qube for a bundle of another repository, locked while a backup runs.
    """
    bundle = _readable(paths)
    if bundle is not None:
        identity.require_repository(bundle, repository)
    generation.check_directories(paths)
    config = ssh_config.planned_removal(paths.ssh_config)
    jobs = crontab.planned_removal()
    noted = paths.state.exists()
    with state.only_run(paths):
        if jobs is not None:
            crontab.write(jobs)
        if config is not None:
            ssh_config.write(paths.ssh_config, config)
        held = generation.remove(paths)
        _forget_borgs_notes(paths, repository)
        mine = _remove_settings(paths)
        shutil.rmtree(paths.state, ignore_errors=True)
    _remove_empty(paths.ssh)
    changed = held or noted or mine == REMOVED or (jobs, config) != (None, None)
    return changed, mine


def _readable(paths: Paths) -> Bundle | None:
    """Answer the installed bundle; a damaged one opens nothing for anybody and goes like ours."""
    try:
        return generation.current(paths)
    except ServiceFailure:
        return None


def _forget_borgs_notes(paths: Paths, repository: Repository) -> None:
    """Remove what borg remembers of this repository, and of no other one."""
    url = repository.url.encode("ascii")
    for note in paths.home.glob(".config/borg/security/*/location"):
        if _ID.fullmatch(note.parent.name) and _read(note) == url:
            # The note last: as long as it is there, the next run finds the cache too.
            for folder in (paths.home / ".cache" / "borg" / note.parent.name, note.parent):
                shutil.rmtree(folder, ignore_errors=True)


def _remove_settings(paths: Paths) -> str:
    directory, removed = paths.settings_directory, False
    made = {"patterns": sources.default_patterns(paths.home), "settings": settings.TEXT}
    for name, text in made.items():
        if _read(directory / name) == text.encode("utf-8"):
            (directory / name).unlink()
            removed = True
    _remove_empty(directory)
    if os.path.lexists(directory):
        return KEPT
    return REMOVED if removed else NONE


def _remove_empty(directory: Path) -> None:
    with suppress(OSError):  # something lies in it, it is a link, or not there
        directory.rmdir()


def _read(path: Path) -> bytes:
    """Answer a file's bytes; none of a link, a long one, or where there is none."""
    try:
        return read_limited(path, _LIMIT)
    except (FileRefused, OSError):
        return b""
