"""A kit as files: all that was asked for, private, or nothing at all."""

from pathlib import Path

import pytest

from qborg_service.failure import ServiceFailure
from qborg_vault.kit import press, qr
from qborg_vault.store import Vault
from qborg_wire.names import Repository
from unit.vault import records
from unit.vault.records import KEEPER, WORK
from unit.vault.test_kit import EXPORT

OTHER = Repository("dom", "other")


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """A vault with the account and two repositories; its home is the test's, codes are plain."""
    monkeypatch.setattr(press, "home", lambda: str(tmp_path))
    monkeypatch.setattr(qr, "svg", lambda _text: "<svg/>")
    made = Vault(tmp_path / "records")
    made.add(records.account(), KEEPER, "keeper")
    for about in (WORK, OTHER):
        made.add(records.repository(about=about, key_export=EXPORT), about, "keeper")
    return made


def _kits(home: Path) -> dict[str, str]:
    return {path.suffix: path.read_text(encoding="utf-8")
            for path in (home / press.FOLDER).iterdir()}  # fmt: skip


@pytest.mark.parametrize(("wanted", "stand"), [
    ((), ("dom-other", "dom-work")), (("dom-work",), ("dom-work",)),
    (("dom-work", "dom-work"), ("dom-work",)),
])
def test_a_kit_holds_what_was_asked_for(
    tmp_path: Path, vault: Vault, wanted: tuple[str, ...], stand: tuple[str, ...]
) -> None:
    printed = press.make(vault, wanted)

    assert printed.repositories == len(stand)
    kits = _kits(tmp_path)
    assert set(kits) == {".html", ".txt"}
    for content in kits.values():
        for name in ("dom-other", "dom-work"):
            assert (f"Repository {name}" in content) is (name in stand)
    assert {path.name for path in (tmp_path / press.FOLDER).iterdir()} == {
        f"{printed.name}.html", f"{printed.name}.txt"}  # fmt: skip


def test_it_is_private_and_a_second_one_of_the_day_takes_its_place(
    tmp_path: Path, vault: Vault
) -> None:
    press.make(vault, ())
    press.make(vault, ("dom-work",))

    folder = tmp_path / press.FOLDER
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert "dom-other" not in _kits(tmp_path)[".txt"]


def _damage(vault: Vault) -> None:
    (vault.root / "dom-work" / "000001.json").write_bytes(b"{}")


BAD = {
    "not-there": (("dom-nobody",), lambda _vault: None, "record-missing"),
    "damaged": ((), _damage, "record-refused"),
    "account-damaged": ((), lambda vault: (vault.root / "dom-keeper" / "000001.json").write_bytes(
        b"{}"), "record-refused"),
    "no-account": ((), lambda vault: (vault.root / "dom-keeper" / "000001.json").unlink(),
                   "record-missing"),
}  # fmt: skip


@pytest.mark.parametrize(("wanted", "bend", "cause"), BAD.values(), ids=BAD)
def test_what_is_not_there_or_damaged_prints_nothing(
    tmp_path: Path, vault: Vault, wanted: tuple[str, ...], bend: object, cause: str
) -> None:
    assert callable(bend)
    bend(vault)

    with pytest.raises(ServiceFailure) as refused:
        press.make(vault, wanted)

    assert refused.value.cause == cause
    assert not (tmp_path / press.FOLDER).exists()


def test_without_qrencode_it_says_so_and_prints_nothing(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(press, "home", lambda: str(tmp_path))
    monkeypatch.setattr(qr, "_PROGRAM", "/nowhere/qrencode")

    with pytest.raises(ServiceFailure) as refused:
        press.make(vault, ())

    assert refused.value.cause == "program-missing"
    assert not (tmp_path / press.FOLDER).exists()
