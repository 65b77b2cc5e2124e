"""The bundle on disk: generations in ~/.ssh/backups.d and the symlink to the current one.

Runs in clients. A generation is written whole before it gets its number, and becomes current by
one rename; older ones stay until the current one is proved.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qborg_borg.bundle import FILE_LIMIT, Bundle, BundleRefused, match_files
from qborg_client import old_scripts
from qborg_client.paths import Paths
from qborg_service import process, ssh_key
from qborg_service.failure import ServiceFailure
from qborg_service.files import read_limited, sync_directory, write_private
from qborg_wire.names import NameRefused, parse_repository

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_TARGET = re.compile(rf"backups\.d/{_NUMBER.pattern}")
_KEY = ".openssh"


def current(paths: Paths) -> Bundle | None:
    """Answer the installed bundle, None if there is none.

    Raises ServiceFailure if what lies there is not a bundle, so that nothing of it is used.
    """
    return read(paths.bundle)


def read(folder: Path) -> Bundle | None:
    """Answer the bundle whose files lie in a directory, None if there is none; raises as above."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        repository = parse_repository(_only_key(names))
        untrusted_files = {
            name: read_limited(folder / name, FILE_LIMIT).decode("ascii") for name in names
        }
        return match_files(untrusted_files, repository)
    except (NameRefused, BundleRefused, OSError, ValueError) as error:
        raise ServiceFailure("bundle-refused", f"{folder} is damaged") from error


def required(paths: Paths) -> Bundle:
    """Answer the installed bundle; raises ServiceFailure if there is none."""
    bundle = current(paths)
    if bundle is None:
        raise ServiceFailure("bundle-missing", f"there is no {paths.bundle}")
    return bundle


def _only_key(names: list[str]) -> str:
    keys = [name.removesuffix(_KEY) for name in names if name.endswith(_KEY)]
    if len(keys) != 1:
        raise NameRefused("not one key")
    return keys[0]


def check_place(paths: Paths) -> None:
    """Raise ServiceFailure if ~/.ssh is not a directory of ours or holds something in our place."""
    check_directories(paths)
    if paths.bundle.exists() and not paths.bundle.is_symlink() and not old_scripts.found(paths):
        raise ServiceFailure("bundle-refused", f"{paths.bundle} is yours; move it away first")


def check_directories(paths: Paths) -> None:
    """Raise ServiceFailure if ~/.ssh or the generations' directory is a link or another user's."""
    for path in (paths.ssh, paths.generations):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise ServiceFailure("bundle-refused", f"{path} is no plain directory")
        if path.exists() and path.stat().st_uid != os.getuid():
            raise ServiceFailure("bundle-refused", f"{path} belongs to another user")


def make_directories(paths: Paths) -> None:
    """See that ~/.ssh and the generations' directory are there."""
    for directory in (paths.ssh, paths.generations):
        directory.mkdir(mode=0o700, exist_ok=True)


def install(paths: Paths, bundle: Bundle) -> None:
    """Write the bundle as a new generation and make it current; the former ones stay.

    Raises ServiceFailure, with everything as it was, if its key pair does not match.
    """
    make_directories(paths)
    with only_writer(paths):
        for leftover in paths.generations.glob(".*"):
            shutil.rmtree(leftover)
        pending = paths.generations / f".{secrets.token_hex(8)}"
        try:
            write(pending, bundle)
            _check_pair(pending, bundle)
            ready = paths.generations / str(max([0, *_numbers(paths)]) + 1)
            os.rename(pending, ready)
        except BaseException:
            shutil.rmtree(pending, ignore_errors=True)
            with suppress(OSError):  # it holds the generation in use, or was made for nothing
                paths.generations.rmdir()
            raise
        sync_directory(paths.generations)
        _point(paths, ready)


def drop_older(paths: Paths) -> None:
    """Remove every generation but the current one, which was just proved."""
    with only_writer(paths):
        numbers = {f"{paths.generations.name}/{number}": number for number in _numbers(paths)}
        if numbers.pop(os.readlink(paths.bundle), None) is None:
            raise ServiceFailure("bundle-refused", f"{paths.bundle} leads elsewhere")
        for number in numbers.values():
            shutil.rmtree(paths.generations / str(number))


def remove(paths: Paths) -> bool:
    """Remove the link and every generation, what a killed delivery left too; answers if any was.

    What else lies there is not ours, a link that leads elsewhere among it.
    """
    changed = _unlink(paths)
    if not paths.generations.exists():
        return changed
    with only_writer(paths):
        ours = [*paths.generations.glob(".*"), *paths.generations.glob("next*"),
                *(paths.generations / str(number) for number in _numbers(paths))]
        for folder in ours:
            shutil.rmtree(folder)
        with suppress(OSError):  # the old scripts' files were put aside there
            paths.generations.rmdir()
    sync_directory(paths.ssh)
    return changed or bool(ours)


def _unlink(paths: Paths) -> bool:
    """Remove the link to the current generation, and one that a killed delivery was about to be."""
    ours = [path for path in (paths.bundle, *paths.ssh.glob(".backups.*"))
            if path.is_symlink() and _TARGET.fullmatch(os.readlink(path))]
    for path in ours:
        path.unlink()
    return bool(ours)


def _numbers(paths: Paths) -> list[int]:
    return [int(name) for name in os.listdir(paths.generations) if _NUMBER.fullmatch(name)]


def write(directory: Path, bundle: Bundle) -> None:
    """Write a bundle's files into a new directory."""
    directory.mkdir(mode=0o700)
    for name, content in bundle.files.items():
        write_private(directory / name, content)


def _check_pair(directory: Path, bundle: Bundle) -> None:
    """Have ssh-keygen derive the public key: both halves must be of one pair."""
    key = directory / f"{bundle.repository}{_KEY}"
    try:
        derived = ssh_key.public_key(key)
    except process.ProcessError as error:
        raise ServiceFailure("bundle-refused", f"the key pair is untested: {error}") from error
    except ServiceFailure:  # no key at all
        derived = ""
    if derived != bundle.public_key:
        raise ServiceFailure("bundle-refused", "the private and the public key are no pair")


def _point(paths: Paths, generation: Path) -> None:
    """Swap the symlink in one step: there is no moment without a bundle of ours."""
    beside = paths.ssh / f".backups.{secrets.token_hex(8)}"
    os.symlink(f"{paths.generations.name}/{generation.name}", beside)
    old_scripts.put_aside(paths)
    os.rename(beside, paths.bundle)
    sync_directory(paths.ssh)


@contextmanager
def only_writer(paths: Paths) -> Iterator[None]:
    """Hold the generations' lock; their directory is there."""
    descriptor = os.open(paths.generations, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
