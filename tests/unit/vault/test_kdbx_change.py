"""What an entry of ours holds and what an export would change, without any KeePassXC."""

import hashlib

import pytest

from qborg_borg import recovery_record
from qborg_vault import kdbx_change, kdbx_records, kdbx_text
from qborg_vault.kdbx_change import Change
from qborg_vault.kdbx_text import Document
from qborg_wire.names import Repository
from unit.borg import bundles
from unit.vault import records, steps

NOW = 1764000000
ACCOUNT = recovery_record.parse(records.account())
WORK = recovery_record.parse(records.repository(NOW))
LATER = recovery_record.parse(records.repository(NOW + 1, nonce="1" * 32))
EMPTY = ("<KeePassFile><Meta><CustomData><Item><Key>a</Key><Value>b</Value></Item></CustomData>"
         "</Meta><Root><Group><UUID>r</UUID>{}</Group></Root></KeePassFile>")  # fmt: skip


def _document(inner: str = "") -> Document:
    return kdbx_text.parse(EMPTY.format(inner).encode())


def _exported(document: Document, *wanted: recovery_record.RecoveryRecord) -> Document:
    planned = kdbx_change.plan(document, wanted)
    return kdbx_text.parse(kdbx_change.spell(document, planned, NOW).reveal())


@pytest.mark.parametrize("record", [ACCOUNT, WORK], ids=["account", "repository"])
def test_a_record_is_kept_byte_by_byte(record: recovery_record.RecoveryRecord) -> None:
    spelt = kdbx_records.spell(record)

    assert hashlib.sha256(spelt.encode()).hexdigest() == record.digest
    [entry] = _exported(_document(), record).entries
    assert kdbx_records.read(entry) == record


def test_only_versions_of_one_record_share_an_entry() -> None:
    others = [
        ACCOUNT,
        *(recovery_record.parse(records.repository(about=about)) for about in
          (Repository("lap", "work"), Repository("dom", "Work"))),
        recovery_record.parse(records.account(about=Repository("lap", "keeper"))),
    ]  # fmt: skip

    assert kdbx_records.entry_uuid(WORK) == kdbx_records.entry_uuid(LATER)
    assert len({kdbx_records.entry_uuid(each) for each in (WORK, *others)}) == 5


def test_the_notes_hold_commands_and_no_secret() -> None:
    for record in (ACCOUNT, WORK):
        notes = kdbx_records.content(record).fields["Notes"]
        assert bundles.PASSPHRASE not in notes and "PRIVATE KEY" not in notes
        steps.is_ssh_with(steps.ssh_of_borg(notes.split("\n")), "ssh-key")


def test_the_notes_of_a_repository_name_the_accounts_key_for_where_its_own_is_revoked() -> None:
    notes, account = (kdbx_records.content(each).fields["Notes"] for each in (WORK, ACCOUNT))

    assert f"entry `{kdbx_records.title(ACCOUNT)}` in its place" in notes
    assert "in its place" not in account


def test_the_notes_tell_where_the_key_is() -> None:
    filed = recovery_record.parse(records.repository(encryption="keyfile-blake2"))
    notes, plain = (kdbx_records.content(each).fields["Notes"] for each in (filed, WORK))

    assert "\nexport BORG_KEY_FILE=borg-key\n" in notes and "borg key import" not in notes
    assert "BORG_KEY_FILE" not in plain and "\nborg key import" in plain


def test_a_merge_takes_nothing_away_that_others_noted() -> None:
    assert _exported(_document(), WORK).custom_data() == {"a": "b"}


GROUPS = {
    "none": ("", kdbx_records.made_uuid("qubes-borg")),
    "of-that-name": ("<Group><UUID>x</UUID><Name>qubes-borg</Name></Group>", "x"),
    "inside-another": (
        "<Group><UUID>y</UUID><Name>z</Name><Group><UUID>x</UUID><Name>qubes-borg</Name></Group>"
        "</Group>", kdbx_records.made_uuid("qubes-borg")),
    "ours-moved": (
        f"<Group><UUID>x</UUID><Name>qubes-borg</Name><Group><UUID>"
        f"{kdbx_records.made_uuid('qubes-borg')}</UUID><Name>mine</Name></Group></Group>",
        kdbx_records.made_uuid("qubes-borg")),
}  # fmt: skip


@pytest.mark.parametrize(("inner", "uuid"), GROUPS.values(), ids=GROUPS)
def test_the_group_is_ours_or_the_one_of_that_name(inner: str, uuid: str) -> None:
    [group] = _exported(_document(inner), WORK).groups

    assert group.uuid == uuid


def test_what_is_newer_there_is_not_written_over() -> None:
    [entry] = _exported(_document(), LATER).entries
    document = Document(_document().meta, _document().root, {}, (entry,), ())

    assert [step.change for step in kdbx_change.plan(document, [LATER, WORK])] == [
        Change.SAME, Change.NEWER]  # fmt: skip
    assert [step.writes for step in kdbx_change.plan(document, [WORK])] == [False]


def test_what_the_vault_had_before_is_written_over_whatever_time_it_says() -> None:
    [entry] = _exported(_document(), LATER).entries
    document = Document(_document().meta, _document().root, {}, (entry,), ())

    [step] = kdbx_change.plan(document, [WORK], {LATER.digest})

    assert step.change is Change.RENEWED


def test_an_entry_is_newer_than_its_deletion() -> None:
    uuid, empty = kdbx_records.entry_uuid(WORK), _document()
    deleted = Document(empty.meta, empty.root, {uuid: NOW + 50}, (), ())

    [entry] = _exported(deleted, WORK).entries

    assert kdbx_text.read_time(
        entry.element.findtext("Times/LastModificationTime", "")) == NOW + 51
