"""A birth in either mode goes on from wherever it was cut, and never makes two of one."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_borg import birth, command
from qborg_borg.command import Access
from qborg_borg.key_export import KEYFILE, REPOKEY
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret

BORG = Path(__file__).with_name("borg_at_birth.py")


class Birth:
    """A repository's directory and the key file beside it."""

    def __init__(self, home: Path) -> None:
        self.place, self.key_file = home / "repository", home / "borgkey"
        self.exported, self.trouble = home / "key-export", home / "trouble"
        self.access = Access("ssh://x/./repos/a-b", "borg", "ssh", Secret(b"x"),
                             key_file=self.key_file)
        self.asides = 0

    def set_aside(self) -> bool:
        """Move it out of the way, as the maintenance qube does."""
        shutil.rmtree(self.place)
        self.asides += 1
        return True

    def make(self, encryption: str = KEYFILE, aside: bool = True) -> bool:
        """Make it."""
        return birth.make(self.access, encryption, self.exported,
                          self.set_aside if aside else lambda: False)


@pytest.fixture
def born(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Birth:
    """Nothing is there yet; borg is the stand-in."""
    found = Birth(tmp_path)
    monkeypatch.setattr(command, "argv", lambda _access, tail: [
        sys.executable, "-I", str(BORG), str(found.place), *tail])
    return found


def _is_whole(born: Birth, encryption: str) -> None:
    assert birth.look(born.access).cause is None
    assert born.key_file.exists() == (encryption == KEYFILE)
    assert (born.place / "key").exists() == (encryption == REPOKEY)
    assert {path.name for path in born.place.parent.iterdir()} <= {
        "repository", "borgkey", "key-export", "trouble"}


@pytest.mark.parametrize("encryption", [KEYFILE, REPOKEY])
def test_it_is_made_once_and_found_again(born: Birth, encryption: str) -> None:
    assert born.make(encryption)
    _is_whole(born, encryption)
    before = (born.place / "id").read_text()

    assert not born.make(encryption)

    assert (born.place / "id").read_text() == before and not born.asides


# What a kill, or what puts it aside, leaves of a birth with a key file.
CUTS: dict[str, Callable[[Birth], object]] = {
    "before-its-key": lambda born: born.key_file.unlink(),
    "before-its-manifest": lambda born: (born.place / "manifest").unlink(),
    "put-aside": lambda born: shutil.rmtree(born.place),
    "beside-another-ones-key": lambda born: born.key_file.write_text("another"),
}


@pytest.mark.parametrize("encryption", [KEYFILE, REPOKEY])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_it_goes_on_from_wherever_it_was_cut(
    born: Birth, cut: Callable[[Birth], object], encryption: str
) -> None:
    born.make()
    cut(born)

    assert born.make(encryption)

    _is_whole(born, encryption)


def test_a_client_whose_repository_was_put_aside_for_it_goes_on(born: Birth) -> None:
    born.make()
    shutil.rmtree(born.place)

    assert born.make(aside=False)

    _is_whole(born, KEYFILE)


@pytest.mark.parametrize("name", ["before-its-key", "before-its-manifest",
                                  "beside-another-ones-key"])
def test_what_cannot_be_put_aside_is_told_and_the_key_stays(born: Birth, name: str) -> None:
    born.make()
    CUTS[name](born)
    before = born.key_file.read_text() if born.key_file.exists() else None

    with pytest.raises(ServiceFailure):
        born.make(aside=False)

    assert (born.key_file.read_text() if born.key_file.exists() else None) == before


_MISSING, _FULL = "Repository.DoesNotExist", "InsufficientFreeSpaceError"
# What borg says, run by run, of a server that is away for a moment; and how many births fail.
AWAY = {
    "for-the-first-look": ([_MISSING], 0),
    "and-then-full": ([_MISSING, _FULL], 1),
    "and-then-full-again": ([_MISSING, _FULL, _MISSING, _FULL], 2),
    "and-again": ([_MISSING, "", _MISSING], 1),
}


@pytest.mark.parametrize(("trouble", "failing"), AWAY.values(), ids=AWAY)
def test_a_server_that_is_away_for_a_moment_costs_no_key(
    born: Birth, trouble: list[str], failing: int
) -> None:
    born.make()
    before = born.key_file.read_text()
    born.trouble.write_text("\n".join(trouble))

    for _run in range(failing):
        with pytest.raises(ServiceFailure):
            born.make(aside=False)

    assert not born.make(aside=False)
    assert born.key_file.read_text() == before
    _is_whole(born, KEYFILE)


def test_a_kill_beside_the_former_ones_key_leaves_the_new_one(born: Birth) -> None:
    born.make()
    born.key_file.with_name("borgkey.aside").write_text("of one that was put aside")
    before = born.key_file.read_text()

    assert not born.make()

    assert born.key_file.read_text() == before
    _is_whole(born, KEYFILE)


@pytest.mark.parametrize("trouble", [[], [_MISSING]], ids=["at-once", "server-away"])
def test_a_key_file_that_is_lost_comes_back_out_of_its_export(
    born: Birth, trouble: list[str]
) -> None:
    born.make()
    before = born.key_file.read_text()
    born.key_file.rename(born.exported)
    born.trouble.write_text("\n".join(trouble))

    assert not born.make(aside=False)

    assert born.key_file.read_text() == before
    assert born.key_file.stat().st_mode & 0o777 == 0o600
    _is_whole(born, KEYFILE)


def test_of_a_repository_that_has_its_key_itself_the_export_makes_no_file(born: Birth) -> None:
    born.make(REPOKEY)
    born.exported.write_text((born.place / "key").read_text())

    assert not born.make(KEYFILE, aside=False)

    _is_whole(born, REPOKEY)


def test_a_damaged_export_becomes_no_key_file(born: Birth) -> None:
    born.make()
    born.key_file.unlink()
    born.exported.write_text("BORG_KEY of nothing")

    with pytest.raises(ServiceFailure) as refused:
        born.make(aside=False)

    assert refused.value.cause == "borg-failed"
    assert not born.key_file.exists()
