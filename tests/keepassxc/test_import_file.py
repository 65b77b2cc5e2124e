"""qborg-vault-import: a file alone makes a vault again, and it never loses what a vault has."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from keepassxc import at_the_vault, databases
from keepassxc.databases import KEY
from qborg_borg import recovery_record
from qborg_service.failure import ServiceFailure
from qborg_vault import export, store
from qborg_vault.store import Vault
from qborg_wire.names import Repository
from unit.vault import records
from unit.vault.records import KEEPER, WORK

NOW = 1764000000
ACCOUNT, RECORD = records.account(NOW), records.repository(NOW)
LATER = records.repository(NOW + 1, nonce="1" * 32)
LAP = [records.account(NOW, Repository("lap", "keeper")),
       records.repository(NOW, Repository("lap", "work"))]  # fmt: skip


def _exports(path: Path, *data: bytes) -> None:
    export.merge(path, KEY, [recovery_record.parse(each) for each in data])


def _files(home: Path) -> dict[str, bytes]:
    root = at_the_vault.vault(home).root
    return {str(each.relative_to(root)): each.read_bytes() for each in root.rglob("*")
            if each.is_file()}  # fmt: skip


def test_an_empty_vault_has_everything_again_and_the_file_is_as_it_was(owned: Path) -> None:
    home = owned.parent
    _exports(owned, ACCOUNT, RECORD)
    before = owned.read_bytes()

    done = at_the_vault.run(home, "import_file", owned)

    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout.decode().endswith("dom-work: taken\n2 records were taken into this vault\n")
    assert _files(home) == {"keeper": b"keeper\n", "dom-keeper/000001.json": ACCOUNT,
                            "dom-work/000001.json": RECORD}  # fmt: skip
    assert owned.read_bytes() == before
    again = at_the_vault.run(home, "import_file", owned, "--json")
    assert json.loads(again.stdout) == {
        "taken": [], "kept": ["account of dom", "dom-work"], "damaged": []}  # fmt: skip
    assert len(_files(home)) == 3


def test_the_same_qubes_may_add_as_before(owned: Path) -> None:
    _exports(owned, ACCOUNT, RECORD)
    at_the_vault.run(owned.parent, "import_file", owned)
    vault = at_the_vault.vault(owned.parent)

    assert vault.add(records.account(NOW + 2), KEEPER, "keeper")[1]
    assert vault.add(LATER, WORK, "keeper")[1]
    for data, about, caller in (
        (records.account(NOW + 3, WORK), WORK, "work"),
        (records.repository(NOW + 3), WORK, "personal"),
    ):
        with pytest.raises(ServiceFailure):
            vault.add(data, about, caller)


@pytest.mark.parametrize(
    ("there", "brought", "newest"),
    [([RECORD, LATER], RECORD, LATER), ([RECORD], LATER, LATER), ([], RECORD, RECORD),
     ([RECORD], records.repository(NOW, nonce="2" * 32), RECORD)],
    ids=["older", "newer", "none", "another-of-the-same-second"],
)  # fmt: skip
def test_never_over_a_newer_version(
    owned: Path, there: Sequence[bytes], brought: bytes, newest: bytes
) -> None:
    vault = at_the_vault.vault(owned.parent)
    vault.add(ACCOUNT, KEEPER, "keeper")
    for data in there:
        vault.add(data, WORK, "work")
    before = _files(owned.parent)
    _exports(owned, ACCOUNT, brought)

    assert at_the_vault.run(owned.parent, "import_file", owned).returncode == 0

    found = vault.newest(WORK)
    assert found is not None and found.newest.digest == recovery_record.parse(newest).digest
    after = _files(owned.parent)
    assert {name: after[name] for name in before} == before


def test_another_maintenance_qubes_account_brings_nothing_in(owned: Path) -> None:
    vault = at_the_vault.vault(owned.parent)
    vault.add(records.account(NOW, Repository("dom", "other")), Repository("dom", "other"), "other")
    before = _files(owned.parent)
    _exports(owned, ACCOUNT, RECORD)

    done = at_the_vault.run(owned.parent, "import_file", owned)

    assert "wrong-caller: another qube holds the account" in at_the_vault.refused(done)
    assert _files(owned.parent) == before


def test_without_the_account_the_rest_comes_and_that_is_said(owned: Path) -> None:
    _exports(owned, RECORD)

    done = at_the_vault.run(owned.parent, "import_file", owned)

    assert done.returncode == 0 and b"the account is not among them" in done.stdout
    assert list(_files(owned.parent)) == ["dom-work/000001.json"]


def test_of_two_computers_one_is_named(owned: Path) -> None:
    home = owned.parent
    _exports(owned, ACCOUNT, RECORD, *LAP)

    for words, says in (((), "dom, lap"), (("--machine", "x"), "no record of that computer")):
        done = at_the_vault.run(home, "import_file", owned, *words)
        assert says in at_the_vault.refused(done)
    assert not at_the_vault.vault(home).root.exists()

    assert at_the_vault.run(home, "import_file", owned, "--machine", "lap").returncode == 0
    assert set(_files(home)) == {"keeper", "lap-keeper/000001.json", "lap-work/000001.json"}


def test_a_database_without_records_is_told_as_such(owned: Path) -> None:
    done = at_the_vault.run(owned.parent, "import_file", owned)

    assert "no records of qubes-borg" in at_the_vault.refused(done)


def test_one_damaged_record_keeps_no_other_out(tmp_path: Path) -> None:
    path = tmp_path / "bent.kdbx"
    field = "<String><Key>qubes-borg record</Key><Value>{}</Value></String>"
    entry = "<Entry><UUID>{}</UUID><String><Key>Title</Key><Value>{}</Value></String>{}</Entry>"
    bent = {"AAECAwQFBgcICQoLDA0OAQ==": ("bent &lt;1>", RECORD.decode().replace("work", "w rk")),
            "AAECAwQFBgcICQoLDA0OAg==": ("cut", RECORD.decode()[:-1]),
            "AAECAwQFBgcICQoLDA0OAw==": ("ü", "ü"),
            "AAECAwQFBgcICQoLDA0OBA==": ("good", RECORD.decode())}  # fmt: skip
    entries = "".join(entry.format(uuid, title, field.format(text.replace('"', "&quot;")))
                      for uuid, (title, text) in bent.items())  # fmt: skip
    databases.make_of_xml(path, (
        '<?xml version="1.0" encoding="UTF-8"?><KeePassFile><Meta/><Root><Group><UUID>'
        f"AAECAwQFBgcICQoLDA0OAA==</UUID><Name>R</Name>{entries}</Group></Root></KeePassFile>"))

    done = at_the_vault.run(tmp_path, "import_file", path, "--json")

    assert "the record in the entry `bent <1>` is damaged" in at_the_vault.refused(done)
    assert json.loads(done.stdout)["damaged"] == ["bent <1>", "cut", "ü"]
    assert _files(tmp_path) == {"dom-work/000001.json": RECORD}


def test_a_thrown_away_record_is_still_one(owned: Path) -> None:
    _exports(owned, ACCOUNT, RECORD)
    databases.cli("rmdir", "-q", str(owned), "qubes-borg")

    at_the_vault.run(owned.parent, "import_file", owned)

    assert len(_files(owned.parent)) == 3


def test_killed_at_every_step_one_more_run_goes_on(owned: Path) -> None:
    _exports(owned, ACCOUNT, RECORD)
    home, step, done = owned.parent, 0, None
    while done is None or done.returncode != 0:
        step += 1
        done = at_the_vault.run(home, "import_file", owned, killed=step)
        for stored in map(at_the_vault.vault(home).newest, (WORK, KEEPER)):
            assert stored is None or stored.versions == 1

    assert step > 10
    found = _files(home)
    assert {name: found[name] for name in found if "/." not in name and name[0] != "."} == {
        "keeper": b"keeper\n", "dom-keeper/000001.json": ACCOUNT, "dom-work/000001.json": RECORD}


def test_what_was_taken_before_it_stopped_is_said_and_one_more_run_takes_the_rest(
    owned: Path,
) -> None:
    _exports(owned, ACCOUNT, RECORD)
    home = owned.parent
    place = at_the_vault.vault(home).root / "dom-work"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")  # no directory can be made here

    done = at_the_vault.run(home, "import_file", owned)

    said = at_the_vault.refused(done)
    assert "dom-work" in said and "nothing was changed" not in said
    assert "what was taken stays" in said
    assert done.stdout.splitlines() == [
        b"account of dom: taken", b"dom-work: not taken yet",
        b"1 records were taken into this vault"]
    place.unlink()
    again = at_the_vault.run(home, "import_file", owned)
    assert (again.returncode, again.stdout.splitlines()[:2]) == (
        0, [b"account of dom: as it was", b"dom-work: taken"])


@pytest.mark.parametrize("value", ["VERSIONS", "REPOSITORIES"])
def test_a_full_vault_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    vault = Vault(tmp_path / "records")
    parsed = [recovery_record.parse(each) for each in (ACCOUNT, RECORD, LATER)]
    assert len([*vault.take_back(parsed[:2])]) == 2
    monkeypatch.setattr(store, value, 1)
    more = parsed[2] if value == "VERSIONS" else recovery_record.parse(
        records.repository(NOW, Repository("dom", "other")))

    with pytest.raises(ServiceFailure) as caught:
        next(vault.take_back([more]))

    assert caught.value.cause == "vault-full"
