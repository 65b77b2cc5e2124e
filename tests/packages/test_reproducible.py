"""The same tree gives the same bytes, whoever builds it, wherever, with or without git."""

import hashlib
import os
import pwd
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from packages import built

# They tell of the machine that built, by what they are for.
OF_THE_MACHINE = (".buildinfo", ".changes")
BUILD = ("/usr/bin/make", "deb", "rpm")


def digests(packages: Iterable[Path]) -> dict[str, str]:
    """Answer the digest of each package that must always be the same."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in packages if path.suffix not in OF_THE_MACHINE}  # fmt: skip


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """A git checkout with files that are no source, built by somebody who is not root.

    It lies where that one can go, with another umask; all of it belongs to that one.
    """
    with tempfile.TemporaryDirectory(prefix="qubes-borg-checkout-") as folder:
        built.copy_tree(Path(folder))
        left = Path(folder, "build/deb/left.deb")
        left.parent.mkdir(parents=True)
        left.write_text("of a build before")
        built.run("/usr/bin/git", "init", "--quiet", folder=Path(folder))
        built.run("/usr/bin/git", "add", "--all", folder=Path(folder))
        become: tuple[str, ...] = ()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            built.run("/usr/bin/chown", "-R", f"{nobody.pw_uid}:{nobody.pw_gid}", folder)
            become = ("/usr/bin/setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}",
                      "--clear-groups")  # fmt: skip
        built.run(*become, *BUILD, folder=Path(folder), umask=0o077)
        yield Path(folder)


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_a_checkout_and_a_tarball_give_the_same_bytes(
    kind: str, checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another folder, builder, umask, age of the files; one with git and one without."""
    expected = digests(built.build(kind, "tarball", tmp_path_factory))

    assert len(expected) >= len(built.ROLES) + 2
    assert digests((checkout / "build" / kind).iterdir()) == expected


def test_a_build_leaves_nothing_outside_of_its_folder(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """rpmbuild makes the folders that it is told of; only root can at the root."""
    built.build("rpm", "tarball", tmp_path_factory)

    assert not Path("/builddir").exists(), "or an older version's build has left it"


def test_another_version_gives_other_bytes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Else the test above would compare nothing."""
    older, newer = (digests(built.build("rpm", source, tmp_path_factory))
                    for source in ("older", "tarball"))  # fmt: skip

    assert not set(older.values()) & set(newer.values())
