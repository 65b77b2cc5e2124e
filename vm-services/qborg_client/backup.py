"""One backup: `borgmatic create` with the composed configuration, and what came of it.

Runs in clients, for cron, for the user and for dom0. Nothing else of borgmatic is ever run:
prune and compact in an append-only client end with success and do nothing.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from qborg_borg import command
from qborg_borg.bundle import Bundle
from qborg_borg.key_export import KEYFILE
from qborg_borg.outcome import Outcome, Record
from qborg_borg.process import explain_connection, plain_environment, run_logged
from qborg_client import effective, identity, installed, journal, settings, sources, state
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private
from qborg_wire import names

# Seconds without a word of borg's, whose progress comes each second. ssh itself gives up a dead
# connection after five minutes; this ends a run whose server lives and does nothing.
IDLE = 3600.0
OnProgress = Callable[[int, int], None]
OnWarning = Callable[[str], None]


@dataclass(frozen=True)
class Backup:
    """A finished backup: archive, what it holds, bytes that were new, digest of its proof."""

    archive: str
    files: int
    size: int
    sent: int
    warnings: int
    proof: str

    @property
    def line(self) -> str:
        """Tell a person of it."""
        return (f"{self.archive}: {self.files} files, {self.size} bytes, "
                f"{self.sent} new, {self.warnings} warnings")


def access(paths: Paths, bundle: Bundle, base_dir: str | None = None) -> command.Access:
    """Answer how this client reaches its repository: over the alias of its own bundle."""
    return command.Access(
        bundle.repository.url, bundle.remote_borg, paths.ssh_command, bundle.passphrase, base_dir,
        key_file=paths.key_file if bundle.encryption == KEYFILE else None,
    )


def run(
    paths: Paths,
    bundle: Bundle,
    on_progress: OnProgress,
    on_wait: Callable[[], None] | None = None,
    manifest: str | None = None,
    on_warning: OnWarning | None = None,
) -> Backup:
    """Back up now; raises ServiceFailure with the cause. Either way the result is remembered.

    A backup that is made leaves a line in the journal; why there is none, who asked for it notes.
    Another run is waited for only if somebody is told so by `on_wait`. Without a new manifest the
    last one stays in the archives. `on_warning` gets borg's words, which it does not trust.
    """
    identity.require_own(paths, bundle)
    with state.only_run(paths, on_wait):
        began = int(time.time())
        note = state.Last(state.read_last(paths).success, state.UNFINISHED, began)
        state.write_last(paths, note)
        if manifest is not None:
            state.keep_manifest(paths, manifest)
        try:
            made = _create(paths, bundle, _Follower(on_progress, on_warning))
        except ServiceFailure as failure:
            note = replace(note, outcome=failure.cause, detail=failure.detail)
            raise
        else:
            note = replace(
                note, success=began, outcome=state.OK, archive=made.archive, files=made.files,
                size=made.size, sent=made.sent, warnings=made.warnings,
            )
            journal.info(made.line)
            return made
        finally:
            # The clock may have been set meanwhile.
            state.write_last(paths, replace(note, seconds=max(0, int(time.time()) - began)))


def read_settings(paths: Paths) -> settings.Settings:
    """Answer the user's settings."""
    file = paths.settings_directory / "settings"
    return settings.parse(sources.read_text(file, errors="replace"))


def patterns(paths: Paths) -> tuple[str, ...]:
    """Answer what borg is told to take and leave out; raises ServiceFailure as sources does."""
    file = paths.settings_directory / "patterns"
    there = os.path.lexists(file)
    text = sources.read_text(file) if there else sources.default_patterns(paths.home)
    return sources.compose(sources.parse(text), paths)


def make_settings(paths: Paths) -> None:
    """Give the user the two files to edit, once."""
    directory = paths.settings_directory
    sources.make_once(directory / "patterns", sources.default_patterns(paths.home))
    sources.make_once(directory / "settings", settings.TEXT)


def _create(paths: Paths, bundle: Bundle, follower: "_Follower") -> Backup:
    version = installed.usable()
    make_settings(paths)
    chosen = read_settings(paths)
    configuration = paths.state / "borgmatic.yaml"
    composed = effective.compose(paths, patterns(paths), chosen, version, bundle.encryption)
    write_private(configuration, composed.encode("utf-8"))
    proof = state.new_proof(paths)
    outcome = run_logged(
        [installed.BORGMATIC, *effective.arguments(str(configuration), version)],
        plain_environment(), timeout=None, idle=IDLE, on_record=follower,
        done=lambda code: code == 0,
    )
    if outcome.cause == "time-out":
        raise ServiceFailure("time-out", f"borg has said nothing for {IDLE / 60:.0f} minutes")
    if outcome.cause is not None:
        outcome = explain_connection(outcome, access(paths, bundle))
        if outcome.cause == "borg-failed":
            installed.require_running()
        raise ServiceFailure(outcome.cause or "borg-failed", outcome.detail)
    return read_result(outcome, len(chosen.refused), hashlib.sha256(proof).hexdigest())


class _Follower:
    """Tells on what borg's log says of files and bytes, and that it lives in between."""

    def __init__(self, on_progress: OnProgress, on_warning: OnWarning | None) -> None:
        self._on_progress, self._on_warning = on_progress, on_warning
        self._files, self._size = 0, 0

    def __call__(self, record: Record) -> None:
        if record.level == "WARNING" and self._on_warning is not None:
            self._on_warning(record.message)
        if record.kind == "archive_progress" and record.files:
            self._files, self._size = record.files, record.size
        self._on_progress(self._files, self._size)


def read_result(outcome: Outcome, refused: int, proof: str) -> Backup:
    """Answer what borg printed about the archive; raises ServiceFailure if it printed nothing."""
    untrusted_archive = _find_archive(outcome.stdout)
    with suppress(names.NameRefused, KeyError, TypeError, ValueError):
        untrusted_stats = untrusted_archive["stats"]
        return Backup(
            names.parse(names.ARCHIVE, 100, untrusted_archive["name"]),
            int(untrusted_stats["nfiles"]),
            int(untrusted_stats["original_size"]),
            int(untrusted_stats["deduplicated_size"]),
            outcome.warnings + refused,
            proof,
        )
    raise ServiceFailure("borg-failed", "borgmatic ended well but told of no archive")


def _find_archive(stdout: bytes) -> dict[str, Any]:
    """Answer the `archive` of borg's JSON; borgmatic's own words may stand before or after."""
    text = stdout.decode("utf-8", "replace")
    start = 0 if text.startswith("{") else text.find("\n{") + 1
    try:
        found, _end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return {}
    archive = found.get("archive") if isinstance(found, dict) else None
    return archive if isinstance(archive, dict) else {}
