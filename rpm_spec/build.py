#!/usr/bin/python3
"""Builds the packages: rpm by rpmbuild and the specs beside this file, deb by dpkg-buildpackage.

Runs on a build host as any user, without network, in a git checkout and in an unpacked tarball
alike. The same tree gives the same bytes: the time is that of debian/changelog's first entry. What
lies in a package is not decided here but by `make install-ROLE`.
"""

import argparse
import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
NAME = "qubes-borg"
# What a tree without git may hold that is no source; with git, .gitignore says so.
NO_SOURCE = shutil.ignore_patterns(
    ".git", "build", "dist", ".venv", "__pycache__", "*.pyc", "*.egg-info", ".*_cache",
    ".hypothesis",
)
ENTRY = re.compile(
    rf"{NAME} \((?P<version>[0-9.]+)\) .*?\n\n(?P<text>.*?)\n\n -- (?P<who>.+?)  (?P<date>.+?)\n",
    re.DOTALL,
)
SECONDS = 600


class BuildError(Exception):
    """The packages cannot be built; the text says why."""


@dataclass(frozen=True)
class Release:
    """The first entry of debian/changelog."""

    version: str
    text: str
    who: str
    date: str

    @property
    def epoch(self) -> int:
        """The time that every file gets."""
        return int(parsedate_to_datetime(self.date).timestamp())

    @property
    def rpm_entry(self) -> str:
        """The same entry as a spec file has it."""
        day = parsedate_to_datetime(self.date).strftime("%a %b %d %Y")
        lines = re.sub(r"^  \* ", "- ", self.text, flags=re.M)
        return f"* {day} {self.who} - {self.version}-1\n{lines}"


def release() -> Release:
    """Answer what is to be built; raises BuildError unless all places name one version."""
    found = ENTRY.match((HERE / "debian/changelog").read_text(encoding="utf-8"))
    if found is None:
        raise BuildError("the first entry of debian/changelog cannot be read")
    version = (HERE / "version").read_text(encoding="ascii").strip()
    if found["version"] != version:
        raise BuildError(f"`version` says {version}, debian/changelog {found['version']}")
    return Release(**found.groupdict())


def sources() -> list[str]:
    """Answer every source file, relative to the root."""
    if not (HERE / ".git").exists():
        names = []
        for folder, folders, files in os.walk(HERE):
            ignored = NO_SOURCE(folder, [*folders, *files])
            folders[:] = [name for name in folders if name not in ignored]
            names += [os.path.relpath(f"{folder}/{name}", HERE)
                      for name in files if name not in ignored]
        return sorted(names)
    # safe.directory: the clone may belong to another user than the one who builds.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
               "--exclude-standard"]
    listed = subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, timeout=SECONDS).stdout
    return sorted(name for name in set(listed.split("\0")) if (HERE / name).is_file())


def pack(target: Path, made: Release) -> None:
    """Write the source tarball, the same bytes for the same tree whoever owns it."""
    with (target.open("wb") as raw,
          gzip.GzipFile("", "wb", fileobj=raw, mtime=made.epoch) as packed,
          tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive):
        for name in sources():
            content = (HERE / name).read_bytes()
            entry = tarfile.TarInfo(f"{NAME}-{made.version}/{name}")
            program = content.startswith(b"#!") and os.access(HERE / name, os.X_OK)
            entry.mode = 0o755 if program else 0o644
            entry.mtime, entry.size = made.epoch, len(content)
            archive.addfile(entry, io.BytesIO(content))


def specs(made: Release) -> dict[str, bytes]:
    """Answer the spec files, filled in as Qubes' builder does it too."""
    filled = {}
    for path in sorted((HERE / "rpm_spec").glob("*.spec.in")):
        text = path.read_text(encoding="utf-8")
        for slot, value in (("VERSION", made.version), ("REL", "1"), ("CHANGELOG", made.rpm_entry)):
            text = text.replace(f"@{slot}@", value)
        filled[f"rpm_spec/{path.stem}"] = text.encode()
    return filled


def run(command: Sequence[str], folder: Path, made: Release) -> None:
    """Run a builder in a closed environment; raises BuildError with what it said."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "TZ": "UTC",
                   "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(made.epoch)}
    try:
        done = subprocess.run(
            list(command), cwd=folder, env=environment, stdin=subprocess.DEVNULL, umask=0o022,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
    except FileNotFoundError as error:
        raise BuildError(f"there is no {command[0]}; `make rpm`, `make deb` bring it") from error
    if done.returncode != 0:
        sys.stderr.buffer.write(done.stdout)
        raise BuildError(f"{command[0]} failed; what it said stands above")


def build_rpm(work: Path, made: Release) -> list[Path]:
    """Build every spec; answer the packages."""
    pack(work / f"{NAME}-{made.version}.tar.gz", made)
    settings = {
        "_buildhost": NAME, "_rpmdir": work / "done", "_srcrpmdir": work / "done",
        "use_source_date_epoch_as_buildtime": 1, "clamp_mtime_to_source_date_epoch": 1,
        "source_date_epoch_from_changelog": 0, "vendor": NAME, "packager": made.who,
    }
    # A source package keeps the spec with every path filled in, so it gets paths that never differ;
    # relative ones, since rpmbuild makes its folders for it too. It would also keep who has built.
    ways = {"-bb": {"_topdir": work, "_sourcedir": work},
            "-bs": {"_topdir": ".", "_sourcedir": ".", "_srcdefattr": "(-,root,root)"}}
    for name, text in specs(made).items():
        (work / Path(name).name).write_bytes(text)
        for way, places in ways.items():
            words = [word for key, value in (settings | places).items()
                     for word in ("--define", f"{key} {value}")]
            # --nodeps: on Debian rpm knows of no package; it takes Python and make.
            run(["/usr/bin/rpmbuild", way, "--nodeps", *words, Path(name).name], work, made)
    return sorted((work / "done").rglob("*.rpm"))


def build_deb(work: Path, made: Release) -> list[Path]:
    """Build the Debian packages and their source; answer them with the lists beside them."""
    tarball = work / "source.tar.gz"
    pack(tarball, made)
    run(["/usr/bin/tar", "--extract", "--file", str(tarball)], work, made)
    tarball.unlink()
    tree = work / f"{NAME}-{made.version}"
    # --no-check-builddeps: it would ask for a C compiler too.
    command = ["/usr/bin/dpkg-buildpackage", "--no-sign", "--no-check-builddeps", "--build=full"]
    run(command, tree, made)
    return sorted(path for path in work.iterdir() if path.is_file())


KINDS: dict[str, Callable[[Path, Release], list[Path]]] = {"deb": build_deb, "rpm": build_rpm}


def build(kind: str) -> list[Path]:
    """Build one kind into build/KIND, which then holds nothing else; raises BuildError, OSError."""
    made, output = release(), HERE / "build" / kind
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-") as work:
        packages = KINDS[kind](Path(work), made)
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        return [Path(shutil.copy(path, output)) for path in packages]


def main(arguments: Sequence[str]) -> int:
    """Run for one kind; answers the exit code."""
    parser = argparse.ArgumentParser(description="Build the packages into build/.")
    parser.add_argument("kind", choices=sorted(KINDS))
    options = parser.parse_args(arguments)
    os.umask(0o022)  # modes of the sources become part of what is built
    try:
        for path in build(options.kind):
            print(path.relative_to(HERE))
    except (BuildError, OSError, subprocess.SubprocessError) as error:
        print(f"error: {error}\nhint: use a whole clone or tarball", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
