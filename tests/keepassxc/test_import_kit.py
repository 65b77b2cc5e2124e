"""qborg-vault-import --kit: what was typed off paper makes a vault again, or names its mistake."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from keepassxc import at_the_vault
from qborg_borg import recovery_record
from qborg_service import volatile
from qborg_vault.kit import layout, sheet, text
from qborg_vault.tools import import_file
from qborg_wire.names import Repository
from unit.vault import records
from unit.vault.records import KEEPER, WORK

NOW = 1764000000
EXPORT = (Path(__file__).parents[1] / "unit/vault/borg-key-export.txt").read_text("ascii")
ACCOUNT, RECORD = records.account(NOW), records.repository(NOW, key_export=EXPORT)
LATER = records.repository(NOW + 1, key_export=EXPORT, passphrase="n" * 43)


def _kit(*data: bytes) -> str:
    account, *repositories = (recovery_record.parse(each) for each in data)
    return text.render(layout.fitted(sheet.pages(account, repositories)))


def _types(home: Path, kit: str) -> Path:
    file = home / "typed.txt"
    file.write_text(kit, encoding="utf-8")
    return file


def _files(home: Path) -> dict[str, bytes]:
    root = at_the_vault.vault(home).root
    return {str(each.relative_to(root)): each.read_bytes() for each in root.rglob("*")
            if each.is_file()}  # fmt: skip


def test_an_empty_vault_has_what_opens_everything_again(tmp_path: Path) -> None:
    file, memory = _types(tmp_path, _kit(ACCOUNT, RECORD)), set(volatile.folder().iterdir())

    done = at_the_vault.run(tmp_path, "import_file", "--kit", file)

    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout.decode() == (
        "account of dom: taken\ndom-work: taken\n"
        "each repository has a new ssh key here; the server does not know it yet\n"
        "2 records were taken into this vault\n")
    vault = at_the_vault.vault(tmp_path)
    work, first = vault.newest(WORK), recovery_record.parse(RECORD)
    assert work is not None and vault.account("dom") is not None
    for name in ("passphrase", "key_export", "encryption", "remote_borg", "host_key", "made"):
        assert work.newest.values[name] == first.values[name]
    assert work.newest.values["public_key"] != first.values["public_key"]
    assert set(volatile.folder().iterdir()) <= memory, "no key stays in memory"
    assert _files(tmp_path)["keeper"] == b"keeper\n"


def test_twice_is_once(tmp_path: Path) -> None:
    file = _types(tmp_path, _kit(ACCOUNT, RECORD))
    at_the_vault.run(tmp_path, "import_file", "--kit", file)
    before = _files(tmp_path)

    again = at_the_vault.run(tmp_path, "import_file", "--kit", file, "--json")

    assert json.loads(again.stdout) == {
        "taken": [], "kept": ["account of dom", "dom-work"], "damaged": []}  # fmt: skip
    assert _files(tmp_path) == before


def test_an_old_kit_puts_nothing_over_what_the_vault_has(tmp_path: Path) -> None:
    vault = at_the_vault.vault(tmp_path)
    vault.add(ACCOUNT, KEEPER, "keeper")
    vault.add(LATER, WORK, "work")
    before = _files(tmp_path)

    done = at_the_vault.run(
        tmp_path, "import_file", "--kit", _types(tmp_path, _kit(ACCOUNT, RECORD)))

    assert done.returncode == 0 and b"nothing was changed" in done.stdout
    assert b"ssh key" not in done.stdout and _files(tmp_path) == before


def test_the_maintenance_qube_may_add_as_before(tmp_path: Path) -> None:
    at_the_vault.run(tmp_path, "import_file", "--kit", _types(tmp_path, _kit(ACCOUNT, RECORD)))
    vault = at_the_vault.vault(tmp_path)

    assert vault.add(records.account(NOW + 1), KEEPER, "keeper")[1]
    assert vault.add(LATER, WORK, "keeper")[1]


REFUSED: dict[str, tuple[Callable[[str], str], str]] = {
    "a-typo": (lambda kit: kit.replace("hunter", "hunler"), "not as printed"),
    "no-account": (lambda kit: kit[kit.index("Repository dom-work"):],
                   "the page of the account is missing"),
    "empty": (lambda _kit: "", "the page of the account is missing"),
    "of-another-keeper": (lambda _kit: _kit_of("other"), "another qube holds the account"),
}  # fmt: skip


def _kit_of(keeper: str) -> str:
    return _kit(records.account(NOW + 9, Repository("dom", keeper)), RECORD)


@pytest.mark.parametrize(("bend", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_changes_nothing(
    tmp_path: Path, bend: Callable[[str], str], says: str
) -> None:
    at_the_vault.vault(tmp_path).add(ACCOUNT, KEEPER, "keeper")
    before = _files(tmp_path)

    done = at_the_vault.run(
        tmp_path, "import_file", "--kit", _types(tmp_path, bend(_kit(ACCOUNT, RECORD))))

    said = at_the_vault.refused(done)
    assert says in said and "hunl" not in said
    assert _files(tmp_path) == before


NO_FILE: dict[str, Callable[[Path], object]] = {
    "missing": lambda _file: None,
    "directory": lambda file: file.mkdir(),
    "fifo": os.mkfifo,
    "bytes": lambda file: file.write_bytes(bytes(range(256)) * 10),
    "endless": lambda file: os.truncate(os.open(file, os.O_CREAT | os.O_WRONLY), 5 << 20),
}


@pytest.mark.parametrize("make", NO_FILE.values(), ids=NO_FILE)
def test_a_file_that_is_no_text_is_one_error(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "typed.txt")

    at_the_vault.refused(
        at_the_vault.run(tmp_path, "import_file", "--kit", tmp_path / "typed.txt"))

    assert _files(tmp_path) == {}


@pytest.mark.parametrize("words", [("--password-fd", "0"), ("--no-password",), ("--key-file", "k")])
def test_a_kit_has_no_password(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        import_file.main(["--kit", "typed.txt", *words])

    assert "a kit has no password" in capsys.readouterr().err


def test_killed_at_every_step_one_more_run_goes_on(tmp_path: Path) -> None:
    file, step, done = _types(tmp_path, _kit(ACCOUNT, RECORD)), 0, None
    while done is None or done.returncode != 0:
        step += 1
        done = at_the_vault.run(tmp_path, "import_file", "--kit", file, killed=step)
        for stored in map(at_the_vault.vault(tmp_path).newest, (WORK, KEEPER)):
            assert stored is None or stored.versions == 1

    assert step > 10
    assert {"keeper", "dom-keeper/000001.json", "dom-work/000001.json"} <= set(_files(tmp_path))
