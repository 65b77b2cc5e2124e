"""The borg and the borgmatic of the template: are they there, and which borgmatic is it?

Runs in clients. To ask a program for its version takes as long as to start it, so before a backup
their files are looked at. Whether they run shows when they do; only then they are asked.
"""

import os
import re
import sys
from collections.abc import Iterable, Sequence

from qborg_borg import command
from qborg_borg.process import home, plain_environment
from qborg_client import effective
from qborg_service import process
from qborg_service.failure import ServiceFailure

BORGMATIC = "/usr/bin/borgmatic"
_SCRIPT = re.compile(rb"#!(\S+)(?: -[EIPs]+)?\n")
_METADATA = r"-(.+)\.(?:dist|egg)-info"


def usable() -> effective.Version:
    """Answer borgmatic's version; raises ServiceFailure without borg or a borgmatic that can."""
    if not os.access(command.BORG, os.X_OK):
        raise ServiceFailure("borg-missing", "borg is not installed in the template")
    version = borgmatic()
    if version is None:
        raise ServiceFailure("borgmatic-missing", "borgmatic is not installed in the template")
    if version < effective.OLDEST:
        found = effective.format_version(version)
        raise ServiceFailure("borgmatic-missing", f"borgmatic {found} is too old; 1.8 is needed")
    return version


def borgmatic() -> effective.Version | None:
    """Answer borgmatic's version, None without one; it is started only if its files do not tell."""
    return told_by_files(BORGMATIC, "borgmatic", "borgmatic", _places()) or version_of(BORGMATIC)


def borg() -> effective.Version | None:
    """Answer the same of borg."""
    return told_by_files(command.BORG, "borgbackup", "borg", _places()) or version_of(command.BORG)


def require_running() -> None:
    """Raise ServiceFailure if one of the two does not run, whatever its files say."""
    for cause, program in (("borg-missing", command.BORG), ("borgmatic-missing", BORGMATIC)):
        if version_of(program) is None:
            raise ServiceFailure(cause, f"{program} is there, but does not run")


def version_of(program: str) -> effective.Version | None:
    """Answer the version of borg or borgmatic, None if it is not installed or does not run."""
    try:
        finished = process.run(
            [program, "--version"], stdin=None, env=plain_environment(), timeout=60, limit=4096
        )
    except process.ProcessError:
        return None
    return effective.parse_version(finished.stdout.decode("ascii", "replace"))


def told_by_files(
    program: str, distribution: str, package: str, places: Sequence[str]
) -> effective.Version | None:
    """Answer the version that its metadata tells, None where only the program can say itself.

    `places` are where the interpreter we run under looks for modules, so it must be its, too.
    """
    try:
        with open(program, "rb") as file:
            script = _SCRIPT.match(file.readline(256))
    except OSError:
        return None
    if script is None or os.fsdecode(script[1]) != sys.executable:
        return None
    found = set(_found(distribution, package, places))
    return effective.parse_version(found.pop()) if len(found) == 1 else None


def _places() -> Sequence[str]:
    """Answer where a script looks for modules; ours do not look into the user's own."""
    major, minor = sys.version_info[:2]
    return (*sys.path, f"{home()}/.local/lib/python{major}.{minor}/site-packages")


def _found(distribution: str, package: str, places: Iterable[str]) -> Iterable[str]:
    """Answer the version of each distribution of that name that is there with its package."""
    metadata = re.compile(re.escape(distribution) + _METADATA)
    for place in places:
        try:
            names = os.listdir(place)
        except OSError:
            continue
        for name in names:
            match = metadata.fullmatch(name)
            if match is not None and package in names:
                yield match[1]
