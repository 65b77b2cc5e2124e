"""Many repositories by a few calls: whose is what, what spoils a call, what is left for later."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from qborg_maintenance import bulk, evidence
from qborg_maintenance.bulk import Bulk
from qborg_maintenance.connection import Connection
from qborg_maintenance.evidence import ALL, KEYS
from qborg_maintenance.files import ShellFiles
from qborg_maintenance.registry import Registry
from qborg_maintenance.seen import Seen
from qborg_service.failure import ServiceFailure
from qborg_service.process import Finished
from unit.maintenance import repositories as borg
from unit.maintenance.directory import WAYS, Account
from unit.maintenance.example import MACHINE, MACHINE_ID

KNOWN = Registry(MACHINE, MACHINE_ID, 1, {}, ())
ways = pytest.mark.parametrize("way", WAYS)


class Patient(Bulk):
    """Has time for so many calls, however long they take."""

    @property
    def is_over(self) -> bool:
        """Tell whether they were made."""
        return cast(Account, self.files.connection).asked >= self.end


class Bent(Account):
    """A shell account with a limit for one answer, which lists backwards, while a backup runs."""

    def run(self, *words: str) -> Finished:
        """Run one command."""
        done = super().run(*words)
        if len(done.stdout) > 2000:
            raise ServiceFailure("publish-refused", "the server sent more than allowed")
        if words[0] == "ls" and len(words) > 3:
            lists = done.stdout.rstrip(b"\n").split(b"\n\n")
            return Finished(done.code, b"\n\n".join(reversed(lists)) + b"\n", done.stderr)
        return done


def _repositories(home: Path, count: int) -> list[str]:
    """Lay them there, each with an id, a key and a number of segments of its own."""
    names = [f"dom-q{number}" for number in range(count)]
    for number, name in enumerate(names):
        borg.made(home / "repos" / name, *[borg.puts(borg.ONE)] * (number % 7 + 1))
        config = borg.CONFIG.replace("a" * 64, f"{number:064x}").replace("x\n", f"x{number}\n")
        borg.write(home / "repos" / name, "config", config.encode("ascii"))
    return names


def _told(account: Account, names: Sequence[str], way: str, look: str = ALL,
          before: dict[str, Seen] | None = None) -> list[list[str]]:
    found = evidence.gather(
        Bulk(WAYS[way](account), math.inf), KNOWN, names, look, {} if before is None else before)
    return [str(each).split(",") for each in found]


@ways
def test_a_hundred_repositories_take_a_few_calls(tmp_path: Path, way: str) -> None:
    names, account = _repositories(tmp_path, 100), Account(tmp_path)
    before: dict[str, Seen] = {}

    told = _told(account, names, way, before=before)

    assert [each[0] for each in told] == names and {each[8] for each in told} == {"fine"}
    assert len({each[3] for each in told}) == 100
    assert [int(each[4]) for each in told] == [number % 7 + 2 for number in range(100)]
    assert [before[name].repository_id for name in names] == [f"{n:064x}" for n in range(100)]
    assert account.asked <= (5 if way == "shell" else 55)
    account.asked = 0
    assert [each[3] for each in _told(account, names, way, KEYS)] == [each[3] for each in told]
    assert account.asked <= (2 if way == "shell" else 26)


def _is_gone(top: Path) -> None:
    top.rename(top.with_name("away"))


def _is_a_file(top: Path) -> None:
    _is_gone(top)
    top.write_bytes(b"[repository]\nid = " + b"b" * 64)


def _lost_its_segments(top: Path) -> None:
    (top / "data").rename(top / "away")


def _has_no_config(top: Path) -> None:
    (top / "config").unlink()


def _is_damaged(top: Path) -> None:
    (top / "config").write_bytes(b"\0" * 1000)


def _has_an_endless_key(top: Path) -> None:
    with (top / "config").open("ab") as config:
        config.write(b"\t" + b"A" * 10**6)


SPOILED = {
    "gone": (_is_gone, "missing", "unknown"),
    "a-file": (_is_a_file, "missing", "unknown"),
    "no-config": (_has_no_config, "missing", "unknown"),
    "damaged": (_is_damaged, "missing", "unknown"),
    "no-segments": (_lost_its_segments, None, "unclear"),
    "an-endless-key": (_has_an_endless_key, "another", "fine"),
}


@ways
@pytest.mark.parametrize(("spoils", "key", "found"), SPOILED.values(), ids=SPOILED)
def test_what_is_wrong_with_one_is_told_of_it_alone(
    tmp_path: Path, way: str, spoils: object, key: str | None, found: str
) -> None:
    names = _repositories(tmp_path, 9)
    good = _told(Account(tmp_path), names, way)
    spoils(tmp_path / "repos" / names[4])  # type: ignore[operator]

    told = _told(Account(tmp_path), names, way)

    assert [each for each in told if each[0] != names[4]] == [*good[:4], *good[5:]]
    assert told[4][8] == found and (told[4][3] == good[4][3]) == (key is None)
    assert key != "missing" or told[4][3] == key


def test_a_call_that_is_spoiled_is_made_again_in_halves(tmp_path: Path) -> None:
    names = _repositories(tmp_path, 12)
    good = _told(Account(tmp_path), names, "shell")
    (tmp_path / "repos" / names[5] / "data/0/900").mkdir()
    for number in range(60):
        borg.write(tmp_path / "repos" / names[5], f"data/0/{number + 1000}", b"")

    told = _told(Bent(tmp_path), names, "shell")

    assert told[5][3] == good[5][3] and told[5][8] == "unclear"
    assert told[:5] + told[6:] == good[:5] + good[6:]


@ways
def test_what_is_no_longer_as_it_was_listed_spoils_no_other(tmp_path: Path, way: str) -> None:
    for name in "abcdefgh":
        borg.write(tmp_path, name, name.encode() * 10)
    sizes = dict.fromkeys("abcdefgh", 10) | {"c": 4, "e": 30, "none": 0}

    found = Bulk(WAYS[way](Account(tmp_path)), math.inf).contents(sizes, 4096)

    assert found == {name: name.encode() * 10 for name in "abcdefgh"} | {"none": b""}


@ways
@pytest.mark.parametrize(("last", "begin"), [(False, 0), (True, 5)], ids=["begin", "end"])
def test_of_what_is_long_a_part_is_read(
    tmp_path: Path, way: str, last: bool, begin: int
) -> None:
    data = b"".join(bytes([number]) * bulk.BLOCK for number in range(7)) + b"end"
    borg.write(tmp_path, "long", data)
    several = Bulk(WAYS[way](Account(tmp_path)), math.inf)

    found = several.contents({"long": len(data)}, 2 * bulk.BLOCK, last=last)

    ends = len(data) if last else 2 * bulk.BLOCK
    assert found == {"long": data[begin * bulk.BLOCK : ends]}


@ways
def test_lists_are_told_apart_and_one_may_be_empty(tmp_path: Path, way: str) -> None:
    borg.write(tmp_path, "repos/a/1", b"x")
    borg.write(tmp_path, "repos/a/b/2", b"yy")
    (tmp_path / "repos/c").mkdir()
    several = Bulk(WAYS[way](Account(tmp_path)), math.inf)

    found = several.listings(dict.fromkeys(("none", "repos/c", "repos/a", "repos/a/b", "no"), 1))

    assert found == {"repos/a": bulk.Listing({"1": 1}, ["b"]), "repos/c": bulk.Listing({}, []),
                     "repos/a/b": bulk.Listing({"2": 2}, [])}
    assert several.listings({"repos/c": 1}) == {"repos/c": bulk.Listing({}, [])}
    assert several.listings({"none": 1}) == {}


def test_what_a_program_says_without_being_asked_is_nobodys() -> None:
    class Talking:
        def run(self, *_words: str) -> Finished:
            return Finished(0, b"\xff welcome:\n-rw- 1 1 1 1 May 1 2026 x\na:\ntotal 0\n", b"")

    found = Bulk(ShellFiles(cast(Connection, Talking())), math.inf).listings({"a": 1, "b": 1})
    assert found == {"a": bulk.Listing({}, [])}


def test_what_there_was_no_time_for_comes_first_at_the_next_look(tmp_path: Path) -> None:
    names, before = _repositories(tmp_path, 20), {}
    looks = []
    for _look in range(3):
        several = Patient(WAYS["sftp"](Account(tmp_path)), 6)
        found = evidence.gather(several, KNOWN, names, ALL, before)
        assert [each.name for each in found] == names
        looks.append([each.name for each in found if each.found == "fine"])
        assert {each.found for each in found} == {"fine", "unclear"}

    assert looks == [names[:8], names[8:16], names[:4] + names[16:]]


def test_a_search_that_time_cut_short_goes_on_at_the_next_look(tmp_path: Path) -> None:
    (name,), before = _repositories(tmp_path, 1), {}
    borg.made(tmp_path / "repos" / name, *[borg.deletes(borg.MANIFEST)] * 30, borg.puts(borg.ONE))
    found = []
    for _look in range(3):
        several = Patient(WAYS["sftp"](Account(tmp_path)), 5)
        (one,) = evidence.gather(several, KNOWN, [name], ALL, before)
        found.append((one.found, before[name].looked))

    assert found == [("unclear", 17), ("fine", 32), ("fine", 32)]
