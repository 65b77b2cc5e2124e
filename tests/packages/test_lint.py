"""lintian and rpmlint find nothing in the packages but what is accepted with a reason."""

import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from packages import built
from static import tree

ACCEPTED = tomllib.loads(tree.text("tests/packages/accepted.toml"))
# E: qubes-borg-x: tag more (lintian); qubes-borg-x.noarch: E: tag more (rpmlint)
SAID = {
    "lintian": re.compile(r"^(?P<level>[EWI]): [\w-]+(?: \w+)?: (?P<tag>[\w-]+)", re.M),
    "rpmlint": re.compile(r"^[\w.:-]+: (?P<level>[EW]): (?P<tag>[\w%-]+)", re.M),
}


@dataclass(frozen=True)
class Row:
    """One accepted tag."""

    tag: str
    reason: str
    of: str = ""  # the version that alone says it

    def is_wanted(self, version: str) -> bool:
        """Answer whether the tool must say it here."""
        return version.startswith(self.of)


def rows(tool: str) -> list[Row]:
    """Answer what is accepted of one tool."""
    return [Row(**row) for row in ACCEPTED.get(tool, [])]


def says(tool: str, *words: str | Path, home: Path = Path("/tmp")) -> tuple[str, set[str]]:
    """Run a tool; answer all it said, and the tags of its findings."""
    done = subprocess.run(
        [f"/usr/bin/{tool}", *map(str, words)], env=built.ENVIRONMENT | {"HOME": str(home)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=built.SECONDS, check=False,
    )  # fmt: skip
    return done.stdout, {found["tag"] for found in SAID[tool].finditer(done.stdout)}


def version_of(tool: str) -> str:
    """Answer the tool's own version."""
    found = re.search(r"\d[\d.]+", says(tool, "--version")[0])
    assert found is not None
    return found[0]


@contextmanager
def signed(packages: Iterable[Path]) -> Iterator[list[Path]]:
    """Have copies as a publisher gives them away, in a home where rpm knows the key."""
    # A short path: the socket of gpg's agent lies in it.
    with tempfile.TemporaryDirectory(prefix="rpm-") as folder:
        home = Path(folder)
        (home / ".rpmmacros").write_text(f"%_dbpath {home}/db\n", encoding="ascii")
        keys = {"GNUPGHOME": folder, "HOME": folder}
        gpg = ("/usr/bin/gpg", "--quiet", "--batch", "--passphrase", "")
        built.run(*gpg, "--quick-generate-key", "publisher", "ed25519", "sign", "never", **keys)
        built.run(*gpg, "--armor", "--output", home / "key", "--export", **keys)
        built.run("/usr/bin/rpmkeys", "--import", home / "key", **keys)
        copies = [Path(shutil.copy(path, home)) for path in packages]
        built.run("/usr/bin/rpmsign", "--define", "_gpg_name publisher", "--define",
                  "__gpg /usr/bin/gpg", "--addsign", *copies, **keys)
        yield copies


def findings(tool: str, factory: pytest.TempPathFactory) -> tuple[str, set[str]]:
    """Answer what a tool says of all packages of its kind."""
    if tool == "lintian":
        packages = built.build("deb", "tarball", factory)
        changes = [path for path in packages if path.suffix == ".changes"]
        return says(tool, "--allow-root", *changes)
    with signed(built.build("rpm", "tarball", factory)) as packages:
        # One source package at a time: rpmlint unpacks all of a run into one folder.
        runs = [[path for path in packages if not path.name.endswith(".src.rpm")],
                *([path] for path in packages if path.name.endswith(".src.rpm"))]
        texts, tags = zip(*(says(tool, *some, home=packages[0].parent) for some in runs))
    assert all("specfiles checked" in text for text in texts), texts
    return "".join(texts), set().union(*tags)


@pytest.mark.parametrize("tool", ["lintian", "rpmlint"])
def test_only_what_is_accepted_is_found_and_all_of_it(
    tool: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    version = version_of(tool)
    said, tags = findings(tool, tmp_path_factory)

    assert not [found[0] for found in SAID[tool].finditer(said) if found["level"] == "E"], said
    unknown = tags - {row.tag for row in rows(tool) if row.is_wanted(version)}
    unused = {row.tag for row in rows(tool) if row.is_wanted(version)} - tags
    assert not unknown, said
    assert not unused, f"{tool} {version} does not say {unused} any more: take it out"


@pytest.mark.parametrize("tool", ["lintian", "rpmlint"])
def test_every_accepted_row_has_a_reason_and_stands_once(tool: str) -> None:
    assert all(len(row.reason.split()) >= 5 for row in rows(tool))
    assert len({row.tag for row in rows(tool)}) == len(rows(tool))


def test_lintian_would_be_heard(tmp_path: Path) -> None:
    """A package with errors in it: a tool that says nothing must not look like one that is glad."""
    folder = tmp_path / "bad/DEBIAN"
    folder.mkdir(parents=True)
    (folder / "control").write_text(
        "Package: bad\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: bad\n")
    package = tmp_path / "bad_1_all.deb"
    built.run("/usr/bin/dpkg-deb", "--build", "--root-owner-group", folder.parent, package)

    said, tags = says("lintian", "--allow-root", package)

    assert tags and re.search(r"^E: bad", said, re.M)
