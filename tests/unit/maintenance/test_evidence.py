"""The evidence of a repository: its key's digest, whose it is, what became of it since."""

import dataclasses
import json
import math
import shutil
import time
from pathlib import Path

import pytest

from qborg_borg import key_export
from qborg_maintenance import evidence, seen
from qborg_maintenance.bulk import Bulk
from qborg_maintenance.evidence import ACCEPT, ALL, KEYS, key_digest
from qborg_maintenance.registry import CLIENT, IMPORTED, Entry, Registry
from qborg_maintenance.seen import Seen
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire import names
from qborg_wire.services import SERVICES
from unit.maintenance import repositories as borg
from unit.maintenance.directory import WAYS, Account
from unit.maintenance.example import MACHINE, MACHINE_ID, SETTINGS, key

NAME, PLACE = "dom-work", "repos/dom-work"

EXPORT = (Path(__file__).parents[1] / "vault" / "borg-key-export.txt").read_bytes()
BODY = EXPORT.partition(b"\n")[2].strip()
CONFIG = b"[repository]\nversion = 1\nappend_only = 0\nid = ab\nkey = %s\n\n"


def _as_borg_keeps_it(body: bytes) -> bytes:
    return CONFIG % body.replace(b"\n", b"\n\t")


def test_it_is_the_digest_of_the_exported_key() -> None:
    assert key_digest(_as_borg_keeps_it(BODY)) == key_export.parse(EXPORT).digest


def test_another_key_has_another_digest() -> None:
    bent = BODY[:-5] + b"AAAA" + BODY[-1:]

    others = ("none", "missing", key_export.parse(EXPORT).digest)
    assert key_digest(_as_borg_keeps_it(bent)) not in others


@pytest.mark.parametrize("config", [
    b"[repository]\nversion = 1\n", b"[repository]\nkey = \n", b"[repository]\nid = a\nkey=x\n",
    b"[repository]\nmonkey = x\n",
])
def test_a_repository_without_a_key_has_none(config: bytes) -> None:
    assert key_digest(config) == "none"


@pytest.mark.parametrize("config", [
    b"", b"not a key = x\n", b"key=x\n", b"\0" * 1000, b"monkey = x\n", b" [repository]\n",
])
def test_what_is_no_repository_is_missing(config: bytes) -> None:
    assert key_digest(config) == "missing"


PRINT = names.fingerprint(key(4))
ENTRY = Entry(key(4), PRINT, 1, origin=CLIENT)
KNOWN = Registry(MACHINE, MACHINE_ID, 1, {NAME: ENTRY}, ())
FIELD = SERVICES["ObserveServer"].reply[0]


def _bulk(account: Account, way: str = "shell", seconds: float = math.inf) -> Bulk:
    return Bulk(WAYS[way](account), time.monotonic() + seconds)


def _look(home: Path, before: dict[str, Seen], look: str = ALL, way: str = "shell",
          known: Registry = KNOWN) -> list[str]:
    """Answer the parts of the one word, which is as the wire wants it."""
    (one,) = evidence.gather(_bulk(Account(home), way), known, [NAME], look, before)
    names.parse(FIELD.pattern, FIELD.limit, str(one))
    return str(one).split(",")


@pytest.mark.parametrize("way", WAYS)
def test_a_repository_is_told_in_one_word(tmp_path: Path, way: str) -> None:
    borg.golden(tmp_path / PLACE, borg.SECOND)

    told = _look(tmp_path, {}, way=way)

    assert told[:3] == [NAME, "client", PRINT] and len(told[3]) == 64
    assert told[4] == "9" and told[5].startswith("17959") and told[6] == "3984"
    assert told[8] == "fine"


@pytest.mark.parametrize("look", [KEYS, ALL, ACCEPT])
def test_what_there_was_no_time_for_is_unclear(tmp_path: Path, look: str) -> None:
    borg.golden(tmp_path / PLACE, borg.SECOND)
    account, before = Account(tmp_path), {NAME: Seen("a" * 64, 5)}

    (one,) = evidence.gather(_bulk(account, seconds=0), KNOWN, [NAME], look, before)
    assert str(one).split(",")[3:] == ["unknown"] * 5 + ["unclear"]
    assert account.asked == 0 and before == {NAME: Seen("a" * 64, 5)}


def test_a_look_at_the_keys_learns_nothing_else(tmp_path: Path) -> None:
    borg.golden(tmp_path / PLACE, borg.DELETED)
    before: dict[str, Seen] = {}

    assert _look(tmp_path, before, KEYS)[4:] == ["unknown"] * 5 and before == {}


# The registry beside what it says of the key.
REGISTRIES = {
    "not-there": (dataclasses.replace(KNOWN, repositories={}), ["none", "none"]),
    "revoked": (dataclasses.replace(KNOWN, revoked=(PRINT,)), ["revoked", "none"]),
}


@pytest.mark.parametrize(("known", "told"), REGISTRIES.values(), ids=REGISTRIES)
def test_the_registry_says_whose_key_opens_it(
    tmp_path: Path, known: Registry, told: list[str]
) -> None:
    assert _look(tmp_path, {}, known=known)[1:] == [*told, "missing", *["unknown"] * 5]


def test_what_became_of_it_is_told_until_it_is_accepted(tmp_path: Path) -> None:
    before: dict[str, Seen] = {}
    found = []
    for moment in (borg.BORN, borg.FIRST, borg.SECOND, borg.DELETED, borg.COMPACTED):
        shutil.rmtree(tmp_path / "repos", ignore_errors=True)
        borg.golden(tmp_path / PLACE, moment)
        found.append(_look(tmp_path, before)[8])

    assert found == ["fine", "fine", "fine", "deletions", "deletions"]
    assert _look(tmp_path, before, ACCEPT)[8] == "fine" == _look(tmp_path, before)[8]
    shutil.rmtree(tmp_path / "repos")
    borg.golden(tmp_path / PLACE)
    assert _look(tmp_path, before)[8] == "deletions"


def test_what_the_old_scripts_have_pruned_is_no_news(tmp_path: Path) -> None:
    before: dict[str, Seen] = {}
    entry = dataclasses.replace(ENTRY, origin=IMPORTED)
    imported = dataclasses.replace(KNOWN, repositories={NAME: entry})
    borg.golden(tmp_path / PLACE, borg.COMPACTED)

    assert [_look(tmp_path, before, known=imported)[8] for _time in range(2)] == ["fine"] * 2
    shutil.rmtree(tmp_path / "repos")
    borg.golden(tmp_path / PLACE)
    assert _look(tmp_path, before, known=imported)[8] == "deletions"


@pytest.mark.parametrize("way", WAYS)
def test_a_repository_that_went_back_is_told_at_every_look(tmp_path: Path, way: str) -> None:
    before: dict[str, Seen] = {}
    borg.golden(tmp_path / PLACE)
    _look(tmp_path, before, ACCEPT)
    shutil.rmtree(tmp_path / "repos")
    borg.golden(tmp_path / PLACE, borg.SECOND)

    assert [_look(tmp_path, before, way=way)[8] for _time in range(2)] == ["shrunk"] * 2
    assert _look(tmp_path, before, ACCEPT)[8] == "fine" == _look(tmp_path, before)[8]


def test_a_log_that_lost_a_part_but_not_its_end_has_shrunk(tmp_path: Path) -> None:
    before: dict[str, Seen] = {}
    borg.golden(tmp_path / PLACE, borg.SECOND)
    _look(tmp_path, before)
    (tmp_path / PLACE / "data/0/2").unlink()

    assert _look(tmp_path, before)[8] == "shrunk"


def test_another_repository_under_the_name_is_a_first_look(tmp_path: Path) -> None:
    before: dict[str, Seen] = {}
    borg.golden(tmp_path / PLACE, borg.SECOND)
    _look(tmp_path, before)
    shutil.rmtree(tmp_path / "repos")
    borg.made(tmp_path / PLACE, borg.puts(borg.ONE))

    assert _look(tmp_path, before)[8] == "fine" and before[NAME].repository_id == borg.ID


@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_repository_is_missing_and_the_rest_unknown(tmp_path: Path, way: str) -> None:
    borg.write(tmp_path / PLACE, "config", b"\0" * 1000)

    assert _look(tmp_path, {}, way=way)[3:] == ["missing", *["unknown"] * 5]


def test_a_directory_that_is_longer_than_we_read_is_unknown(tmp_path: Path) -> None:
    borg.golden(tmp_path / PLACE, borg.SECOND)

    class Flooded(Account):
        def run(self, *words: str) -> object:  # type: ignore[override]
            if "-ln" in words:
                raise ServiceFailure("publish-refused", "the server sent more than allowed")
            return super().run(*words)

    (one,) = evidence.gather(_bulk(Flooded(tmp_path)), KNOWN, [NAME], ALL, {})
    assert len(one.key) == 64 and str(one).endswith(",unknown" * 4 + ",unclear")


def test_an_account_that_serves_borg_alone_shows_nothing_and_is_not_asked(tmp_path: Path) -> None:
    blind = dataclasses.replace(SETTINGS, access="borg", keys="awaited")

    (one,) = evidence.observe(State(tmp_path / "state"), blind, [NAME], ALL)

    assert str(one) == f"{NAME},none,none" + ",unknown" * 6


@pytest.mark.parametrize(("look", "asks"), [(ALL, False), (KEYS, False), (ACCEPT, True)])
def test_what_may_be_a_timers_look_asks_nobody_for_a_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str, asks: bool
) -> None:
    asked = []

    def configured(_settings: object, _key: object, asks: bool) -> object:
        asked.append(asks)
        raise ServiceFailure("admin-key-locked", "")

    monkeypatch.setattr(evidence, "configured", configured)
    with pytest.raises(ServiceFailure, match="admin-key-locked"):
        evidence.observe(State(tmp_path / "state"), SETTINGS, [NAME], look)

    assert asked == [asks]


def test_of_seventy_and_more_qubes_the_reply_is_within_its_limit() -> None:
    most = evidence.Evidence(f"{'m' * 16}-{'q' * 31}", "imported", PRINT, "f" * 64)
    told = " ".join([str(most).replace("unknown", "9" * 15)[:-15] + "deletions"] * 250)

    assert names.parse(FIELD.pattern, FIELD.limit, told) == told
    assert FIELD.limit < SERVICES["ObserveServer"].limit - 200


def test_what_was_seen_is_kept(tmp_path: Path) -> None:
    state = State(tmp_path)
    seen.store(state, {NAME: Seen("a" * 64, 5, 2266, 5, 3)})

    assert seen.load(state) == {NAME: Seen("a" * 64, 5, 2266, 5, 3)}


@pytest.mark.parametrize("text", [
    "", "[]", "{", '{"a": 1}', '{"a": {}}', '{"a": {"repository_id": 1}}',
    '{"a": {"repository_id": "a", "size": "1"}}', '{"a": {"repository_id": "a", "more": 1}}',
    json.dumps({"a": {"repository_id": "a", "size": True}}), "[" * 10000,
])
def test_a_damaged_file_is_a_first_look(tmp_path: Path, text: str) -> None:
    state = State(tmp_path)
    state.seen.write_text(text, encoding="ascii")

    assert seen.load(state) == {}
