"""The export: the records get in, whatever the database holds, and nothing of its owner's moves."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from keepassxc import databases
from keepassxc.databases import KEY
from qborg_borg import recovery_record
from qborg_borg.recovery_record import RecoveryRecord
from qborg_vault import export, kdbx_records
from qborg_vault.kdbx_change import Change
from qborg_vault.keepass import DatabaseRefused, Key
from qborg_wire.names import Repository
from unit.borg import bundles
from unit.vault import records

NOW = 1764000000
ACCOUNT = recovery_record.parse(records.account())
WORK = recovery_record.parse(records.repository(NOW))
LATER = recovery_record.parse(records.repository(NOW + 1, passphrase="p" * 43, nonce="1" * 32))
OTHER = recovery_record.parse(records.repository(NOW, Repository("dom", "other")))
BOTH = (WORK, ACCOUNT)


def _changes(done: export.Exported) -> list[Change]:
    return [step.change for step in done.steps]


def _digests(path: Path) -> list[str]:
    return [each.digest for each in kdbx_records.records_from(databases.look(path)).records]


def test_a_person_finds_all_that_a_restore_needs(owned: Path) -> None:
    done = export.merge(owned, KEY, BOTH)

    assert _changes(done) == [Change.ADDED, Change.ADDED]
    assert _digests(owned) == [ACCOUNT.digest, WORK.digest]
    work, account = (databases.entry(owned, name).strings for name in ("dom-work",
                                                                       "account of dom"))
    assert work["Password"] == bundles.PASSPHRASE == WORK.values["passphrase"]
    assert work["UserName"] == WORK.values["account"] == account["UserName"]
    assert work["URL"].startswith("ssh://") and work["URL"].endswith("/./repos/dom-work")
    assert "\nborg list\n" in work["Notes"] and "ls repos" in account["Notes"]
    assert databases.groups(owned)["dom-work"] == "qubes-borg"
    for name, record in (("dom-work", WORK), ("account of dom", ACCOUNT)):
        key = databases.attachment(owned, f"qubes-borg/{name}", "ssh-key")
        assert key.decode() == record.values["private_key"]
        pinned = databases.attachment(owned, f"qubes-borg/{name}", "known_hosts")
        assert record.values["host_key"] in pinned.decode()
    exported = databases.attachment(owned, "qubes-borg/dom-work", "borg-key")
    assert exported.decode() == WORK.values["key_export"]


def test_nothing_of_the_owners_changes_and_the_old_file_is_kept(owned: Path) -> None:
    owned.chmod(0o640)
    before, bytes_before = databases.own(owned), owned.read_bytes()

    done = export.merge(owned, KEY, BOTH)

    assert databases.own(owned) == before
    assert len(before) > 20
    assert done.kept is not None and done.kept.parent == owned.parent
    assert done.kept.read_bytes() == bytes_before
    assert sorted(os.listdir(owned.parent)) == sorted((owned.name, done.kept.name))
    assert stat.S_IMODE(owned.stat().st_mode) == 0o640


def test_twice_is_once(owned: Path) -> None:
    export.merge(owned, KEY, BOTH)
    before, files = owned.read_bytes(), os.listdir(owned.parent)

    done = export.merge(owned, KEY, BOTH)

    assert _changes(done) == [Change.SAME, Change.SAME] and done.kept is None
    assert owned.read_bytes() == before
    assert os.listdir(owned.parent) == files


def test_a_newer_version_replaces_the_entry_and_the_older_is_history(owned: Path) -> None:
    export.merge(owned, KEY, BOTH)
    own = databases.own(owned)

    done = export.merge(owned, KEY, (ACCOUNT, LATER, OTHER))

    assert _changes(done) == [Change.SAME, Change.ADDED, Change.RENEWED]
    found = databases.entry(owned, "dom-work")
    assert found.strings["Password"] == "p" * 43
    [former] = found.element.findall("History/Entry")
    assert bundles.PASSPHRASE in [each.text for each in former.iter("Value")]
    assert len(former.findall("Binary")) == 3
    assert databases.own(owned) == own
    assert _changes(export.merge(owned, KEY, BOTH)) == [Change.SAME, Change.NEWER]
    assert LATER.digest in _digests(owned)


def _moved(path: Path) -> None:
    databases.cli("mv", "-q", str(path), "qubes-borg/dom-work", "Banking & Büro")


def _renamed(path: Path) -> None:
    databases.cli("edit", "-q", "-t", "my work", str(path), "qubes-borg/dom-work")


OWNERS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "moved": (_moved, "dom-work", "Banking & Büro"),
    "renamed": (_renamed, "my work", "qubes-borg"),
}


@pytest.mark.parametrize(("does", "title", "group"), OWNERS.values(), ids=OWNERS)
def test_where_its_owner_put_the_entry_it_stays(
    owned: Path, does: Callable[[Path], None], title: str, group: str
) -> None:
    export.merge(owned, KEY, BOTH)
    does(owned)

    assert _changes(export.merge(owned, KEY, BOTH)) == [Change.SAME, Change.SAME]
    assert databases.groups(owned)[title] == group
    export.merge(owned, KEY, (LATER,))

    found = databases.groups(owned)
    assert sum(found[each] == group for each in found if "work" in each) >= 1
    assert [each.digest for each in kdbx_records.records_from(databases.look(owned)).records] == [
        ACCOUNT.digest, LATER.digest]  # fmt: skip


SPOILT: dict[str, Callable[[Path], object]] = {
    "recycled": lambda path: databases.cli("rm", "-q", str(path), "qubes-borg/dom-work"),
    "recycled-with-its-group": lambda path: databases.cli("rmdir", "-q", str(path), "qubes-borg"),
    "removed": lambda path: [
        databases.cli("rm", "-q", str(path), name)
        for name in ("qubes-borg/dom-work", "Recycle Bin/dom-work")],
    "another-password": lambda path: databases.cli(
        "edit", "-q", "-p", str(path), "qubes-borg/dom-work", more="oops\n"),
    "no-attachment": lambda path: databases.cli(
        "attachment-rm", "-q", str(path), "qubes-borg/dom-work", "borg-key"),
}  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_an_entry_that_was_spoilt_is_whole_again(
    owned: Path, spoil: Callable[[Path], object]
) -> None:
    export.merge(owned, KEY, BOTH)
    spoil(owned)

    done = export.merge(owned, KEY, BOTH)

    assert done.steps[1].writes
    assert databases.groups(owned)["dom-work"] == "qubes-borg"
    assert databases.entry(owned, "dom-work").strings["Password"] == bundles.PASSPHRASE
    databases.attachment(owned, "qubes-borg/dom-work", "borg-key")
    assert not any(step.writes for step in export.merge(owned, KEY, BOTH).steps)


META = """<?xml version="1.0" encoding="UTF-8"?><KeePassFile><Meta><Generator>x</Generator>
<HistoryMaxItems>{items}</HistoryMaxItems><CustomIcons><Icon><UUID>AAECAwQFBgcICQoLDA0ODw==</UUID>
<Data>iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg
gg==</Data></Icon></CustomIcons><CustomData><Item><Key>a plugin</Key><Value>its note</Value></Item>
<Item><Key>KPXC_BROWSER_x</Key><Value>key</Value></Item></CustomData></Meta><Root><Group>
<UUID>AAECAwQFBgcICQoLDA0OAA==</UUID><Name>R</Name><Group><UUID>AAECAwQFBgcICQoLDA0OAQ==</UUID>
<Name>qubes-borg</Name></Group></Group></Root></KeePassFile>"""


@pytest.mark.parametrize("items", ["-1", "10"], ids=["no-limit", "ten"])
def test_an_older_format_with_other_programs_notes(tmp_path: Path, items: str) -> None:
    path = tmp_path / "old.kdbx"
    databases.make_of_xml(path, META.format(items=items))
    assert path.read_bytes()[8:12] == b"\1\0\3\0"
    before = databases.look(path).others(frozenset())

    for record in (WORK, LATER):
        export.merge(path, KEY, (record, ACCOUNT))

    after = databases.look(path).others(frozenset())
    assert {name: after[name] for name in before if not name.startswith("group ")} == {
        name: before[name] for name in before if not name.startswith("group ")}  # fmt: skip
    assert before["data a plugin"] == "its note"
    assert [each.element.findtext("Name") for each in databases.look(path).groups] == ["qubes-borg"]
    assert len(databases.entry(path, "dom-work").element.findall("History/Entry")) == 1
    assert _digests(path) == [ACCOUNT.digest, LATER.digest]


def test_two_computers_have_their_own_entries(owned: Path) -> None:
    lap: list[RecoveryRecord] = [
        recovery_record.parse(records.account(about=Repository("lap", "keeper"))),
        recovery_record.parse(records.repository(about=Repository("lap", "work"))),
    ]
    export.merge(owned, KEY, BOTH)

    export.merge(owned, KEY, lap)

    assert set(_digests(owned)) == {each.digest for each in (*BOTH, *lap)}


def test_a_key_file_opens_it_too(tmp_path: Path) -> None:
    key_file, path = tmp_path / "k.keyx", tmp_path / "k.kdbx"
    databases.cli("db-create", "-q", "-t", "100", "--set-key-file", str(key_file), str(path))
    key = Key(None, key_file)

    export.merge(path, key, BOTH)

    assert len(kdbx_records.records_from(databases.look(path, key)).records) == 2
    with pytest.raises(DatabaseRefused):
        export.merge(path, KEY, (LATER,))


def test_a_new_database_is_made_once_and_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "new.kdbx"

    export.create(path, KEY, BOTH)

    assert _digests(path) == [ACCOUNT.digest, WORK.digest]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and os.listdir(tmp_path) == ["new.kdbx"]
    before = path.read_bytes()
    with pytest.raises(DatabaseRefused, match="exists"):
        export.create(path, KEY, BOTH)
    assert path.read_bytes() == before


def test_what_another_program_writes_meanwhile_is_not_lost(
    owned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    theirs = shutil.copy2(owned, owned.with_name("theirs.kdbx"))
    databases.cli("add", "-q", str(theirs), "theirs")

    def written_by_another(descriptor: int) -> None:
        if theirs.exists() and os.readlink(f"/proc/self/fd/{descriptor}").endswith("copy.kdbx"):
            os.replace(theirs, owned)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", written_by_another)
    with pytest.raises(DatabaseRefused, match="another program"):
        export.merge(owned, KEY, BOTH)

    assert databases.entry(owned, "theirs")
    assert os.listdir(owned.parent) == [owned.name]
