"""A kit is made of whole records or not at all, where only its owner reads it."""

import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from qborg_service.failure import ServiceFailure
from qborg_vault import printing
from qborg_vault.kit import qr, rows
from qborg_vault.store import Vault
from qborg_wire.names import Repository
from unit.vault import records
from unit.vault.records import KEEPER, WORK

NOW = 1764000000
EXPORT = (Path(__file__).parent / "borg-key-export.txt").read_text(encoding="ascii")
MAIL, OTHER = Repository("dom", "mail"), Repository("lap", "work")
NAME = "qubes-borg-kit/kit-2026-11-28"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with an account and two repositories of it, below a home."""
    made = Vault(tmp_path / "records")
    made.add(records.account(), KEEPER, "keeper")
    for about in (WORK, MAIL):
        made.add(records.repository(NOW, about, key_export=EXPORT), about, "keeper")
    return made


def _kit(vault: Vault, *wanted: Repository, others: bool = False) -> printing.Chosen:
    return printing.choose(vault, "dom", wanted, others)


def _write(vault: Vault, home: Path, *wanted: Repository, others: bool = False) -> int:
    """Write it with empty pictures: qrencode may not be here (tests/kit draws and reads them)."""
    return printing.write(home, _kit(vault, *wanted, others=others), NAME, lambda _text: "<svg/>")


def _labels(home: Path, name: str = NAME) -> list[str]:
    found = rows.read((home / f"{name}.txt").read_text("ascii").split("\n"))
    return [value.text for value in found if value.label == "repository"]


@pytest.mark.parametrize(("wanted", "others", "names"), [
    ((WORK,), False, ["dom-work"]), ((WORK, MAIL), False, ["dom-mail", "dom-work"]),
    ((WORK, WORK), False, ["dom-work"]), ((), True, ["dom-mail", "dom-work"]),
    ((WORK,), True, ["dom-mail", "dom-work"]), ((), False, []), ((KEEPER,), False, []),
])  # fmt: skip
def test_what_was_asked_for_is_in_it_once_and_in_order(
    vault: Vault, wanted: tuple[Repository, ...], others: bool, names: list[str]
) -> None:
    chosen = _kit(vault, *wanted, others=others)

    assert [str(each.repository) for each in chosen.repositories] == names
    assert chosen.account.repository == KEEPER


def test_both_files_are_its_owners_alone_and_hold_the_same(vault: Vault, tmp_path: Path) -> None:
    pages = _write(vault, tmp_path, others=True)

    folder = tmp_path / "qubes-borg-kit"
    assert sorted(os.listdir(folder)) == ["kit-2026-11-28.html", "kit-2026-11-28.txt"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert pages == (folder / "kit-2026-11-28.html").read_text("ascii").count("<section>")
    assert pages == (folder / "kit-2026-11-28.txt").read_text("ascii").count("\f") + 1
    assert _labels(tmp_path) == ["dom-mail", "dom-work"]


def test_a_second_one_of_the_day_takes_the_firsts_place(vault: Vault, tmp_path: Path) -> None:
    folder = tmp_path / "qubes-borg-kit"
    folder.mkdir(mode=0o755)
    _write(vault, tmp_path, others=True)
    _write(vault, tmp_path, WORK)

    assert len(os.listdir(folder)) == 2 and _labels(tmp_path) == ["dom-work"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_its_name_is_the_day() -> None:
    assert printing.name_of_today() in {  # the day may end meanwhile
        f"qubes-borg-kit/kit-{time.strftime('%Y-%m-%d', time.localtime(time.time() - ago))}"
        for ago in (0, 60)}


def _spoils(name: str) -> Callable[[Vault], object]:
    return lambda vault: (vault.root / name).write_bytes(b"{}")


REFUSED: Mapping[str, tuple[Callable[[Vault], object], str, tuple[Repository, ...], str]] = {
    "no-record": (lambda _vault: None, "dom", (WORK, Repository("dom", "x")), "record-missing"),
    "no-account": (lambda _vault: None, "lap", (), "record-missing"),
    "of-another-computer": (lambda _vault: None, "dom", (OTHER,), "bad-request"),
    "account-damaged": (_spoils("dom-keeper/000001.json"), "dom", (), "record-refused"),
    "keeper-damaged": (_spoils("keeper"), "dom", (), "record-refused"),
    "no-keeper": (lambda vault: (vault.root / "keeper").unlink(), "dom", (), "record-missing"),
    "keeper-is-a-client": (lambda vault: (vault.root / "keeper").write_text("work\n"), "dom", (),
                           "record-missing"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "machine", "wanted", "cause"), REFUSED.values(), ids=REFUSED)
def test_with_a_record_missing_or_damaged_there_is_no_kit(
    vault: Vault, spoil: Callable[[Vault], object], machine: str,
    wanted: tuple[Repository, ...], cause: str,
) -> None:  # fmt: skip
    spoil(vault)

    with pytest.raises(ServiceFailure) as caught:
        printing.choose(vault, machine, wanted, others=True)

    assert caught.value.cause == cause


def test_a_damaged_record_keeps_no_other_out_and_is_named(vault: Vault) -> None:
    _spoils("dom-mail/000001.json")(vault)

    chosen = _kit(vault, WORK, MAIL, others=True)

    assert [each.repository for each in chosen.repositories] == [WORK]
    assert (chosen.older, chosen.missing) == ((), ("dom-mail",))
    with pytest.raises(ServiceFailure, match="record-refused"):
        _kit(vault, MAIL)


def test_before_a_damaged_record_an_older_one_is_printed_and_named(vault: Vault) -> None:
    for about, made in ((MAIL, records.repository), (KEEPER, records.account)):
        vault.add(made(NOW + 1, about), about, "keeper")
        _spoils(f"{about}/000002.json")(vault)

    for chosen in (_kit(vault, others=True), _kit(vault, MAIL)):
        assert MAIL in [each.repository for each in chosen.repositories]
        assert (chosen.older, chosen.missing) == (("dom-keeper", "dom-mail"), ())


def test_another_computers_damaged_record_is_no_hindrance(vault: Vault) -> None:
    vault.add(records.repository(NOW, OTHER), OTHER, "keeper")
    _spoils("lap-work/000001.json")(vault)

    assert len(_kit(vault, others=True).repositories) == 2


def _link(home: Path) -> None:
    (home / "elsewhere").mkdir()
    (home / "qubes-borg-kit").symlink_to(home / "elsewhere")


IN_THE_WAY: Mapping[str, Callable[[Path], object]] = {
    "file": lambda home: (home / "qubes-borg-kit").write_text("mine"),
    "link": _link,
    "dead-link": lambda home: (home / "qubes-borg-kit").symlink_to(home / "gone"),
}


@pytest.mark.parametrize("put", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_what_is_in_the_way_is_told_and_stays(
    vault: Vault, tmp_path: Path, put: Callable[[Path], object]
) -> None:
    put(tmp_path)

    with pytest.raises(ServiceFailure, match="in the way"):
        _write(vault, tmp_path, WORK)

    assert not list(tmp_path.glob("elsewhere/*"))


def test_without_qrencode_nothing_is_written(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qr, "_PROGRAM", "/usr/bin/no-qrencode")

    with pytest.raises(ServiceFailure) as caught:
        printing.write(tmp_path, _kit(vault, WORK), NAME)

    assert (caught.value.cause, caught.value.detail) == ("program-missing", "qrencode")
    assert not (tmp_path / "qubes-borg-kit").exists()
