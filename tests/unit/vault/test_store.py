"""The vault keeps each version once, of whom may add it, and gives none away."""

import json
import os
import stat
from pathlib import Path

import pytest

from qborg_borg import recovery_record
from qborg_service.failure import ServiceFailure
from qborg_vault import store
from qborg_vault.store import Vault
from qborg_wire.names import Repository
from unit.vault import records
from unit.vault.records import KEEPER, WORK

NOW = 1764000000


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault whose account is held by `keeper`."""
    made = Vault(tmp_path / "records")
    made.add(records.account(), KEEPER, "keeper")
    return made


def _files(vault: Vault) -> dict[str, bytes]:
    return {str(p.relative_to(vault.root)): p.read_bytes() for p in vault.root.rglob("*")
            if p.is_file()}  # fmt: skip


@pytest.mark.parametrize("caller", ["keeper", "work"])
def test_the_keyholder_adds_a_version_and_the_same_one_is_none(vault: Vault, caller: str) -> None:
    first, second = records.repository(NOW), records.repository(NOW + 1, nonce="1" * 32)

    digests = [vault.add(each, WORK, caller) for each in (first, first, second, second)]

    assert [new for _digest, new in digests] == [True, False, True, False]
    assert _files(vault)["dom-work/000001.json"] == first
    assert _files(vault)["dom-work/000002.json"] == second
    found = vault.newest(WORK)
    assert found is not None and (found.newest.digest, found.versions) == (digests[2][0], 2)
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in vault.root.rglob("*"))


REFUSED = {
    "another-client": (records.repository(), WORK, "personal", "wrong-caller"),
    "a-client-the-account": (
        records.account(about=WORK), WORK, "work", "wrong-caller"),
    "the-keeper-another's-account": (records.account(), KEEPER, "work", "wrong-caller"),
    "another-repository": (
        records.repository(), Repository("dom", "work2"), "keeper", "record-refused"),
    "over-long": (records.repository() + b" " * 65536, WORK, "keeper", "record-refused"),
    "truncated": (records.repository()[:-1], WORK, "keeper", "record-refused"),
    "empty": (b"", WORK, "keeper", "record-refused"),
    "twice": (records.repository() * 2, WORK, "keeper", "record-refused"),
    "one-of-before": (records.repository(NOW - 1), WORK, "keeper", "record-refused"),
}


@pytest.mark.parametrize(("data", "about", "caller", "cause"), REFUSED.values(), ids=REFUSED)
def test_what_it_refuses_changes_nothing(
    vault: Vault, data: bytes, about: Repository, caller: str, cause: str
) -> None:
    vault.add(records.repository(NOW - 1), WORK, "work")
    vault.add(records.repository(), WORK, "work")
    before = _files(vault)

    with pytest.raises(ServiceFailure) as caught:
        vault.add(data, about, caller)

    assert caught.value.cause == cause
    assert _files(vault) == before


def test_before_an_account_only_a_qube_itself_may_add(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "records")

    with pytest.raises(ServiceFailure):
        vault.add(records.repository(), WORK, "keeper")
    assert vault.add(records.repository(), WORK, "work")[1]


FORMER = Repository("dom", "work.former1")


def test_a_copy_by_a_former_name_opens_the_same_and_is_made_once(vault: Vault) -> None:
    first, second = records.repository(NOW), records.repository(NOW + 1, passphrase="p" * 43)
    digest, _new = vault.add(first, WORK, "work")

    copied, new = vault.copy(WORK, digest, FORMER)
    vault.add(second, WORK, "work")  # the new repository's; a killed run then asks again
    again, known = vault.copy(WORK, digest, FORMER)

    assert (new, known) == (True, False) and copied == again == vault.required(FORMER)
    assert copied.repository == FORMER and copied.values == json.loads(first) | {
        "repository": "dom-work.former1"}
    kept = _files(vault)
    assert kept["dom-work/000001.json"] == first and kept["dom-work/000002.json"] == second
    assert "dom-work.former1/000002.json" not in kept
    assert vault.repositories() == [KEEPER, WORK, FORMER]


def test_over_an_older_record_by_that_name_a_newer_one_is_put(vault: Vault) -> None:
    """A qube that was renamed, and is renamed back: its repository's newest record counts."""
    vault.add(records.repository(NOW, FORMER), FORMER, "work.former1")
    digest, _new = vault.add(records.repository(NOW + 1), WORK, "work")

    assert [vault.copy(WORK, digest, FORMER)[1] for _again in range(2)] == [True, False]

    found = vault.newest(FORMER)
    assert found is not None and (found.newest.made, found.versions) == (NOW + 1, 2)


ANOTHER = records.EXPORT.replace("ab" * 32, "cd" * 32)


@pytest.mark.parametrize(("made", "changed"), [
    (NOW + 1, {"nonce": "2" * 32}), (NOW + 2, {}),
    (NOW, {"key_export": ANOTHER}), (NOW + 2, {"key_export": ANOTHER}),
], ids=["as-new", "newer", "another-repositorys", "another-repositorys-newer"])
def test_a_record_that_must_not_be_covered_stays_and_is_what_is_answered(
    vault: Vault, made: int, changed: dict[str, str]
) -> None:
    """A name that had a repository before: whether it is gone, the maintenance qube knows alone."""
    own, _new = vault.add(records.repository(made, FORMER, **changed), FORMER, "work.former1")
    digest, _new = vault.add(records.repository(NOW + 1), WORK, "work")
    before = _files(vault)

    kept, new = vault.copy(WORK, digest, FORMER)

    assert (kept.digest, new) == (own, False) and _files(vault) == before


UNCOPIED = {
    "no-such-record": (WORK, "0" * 64, FORMER, "record-missing"),
    "nothing-of-it": (Repository("dom", "mail"), "", FORMER, "record-missing"),
    "an-accounts": (KEEPER, "account", FORMER, "record-refused"),
    "another-computers-name": (WORK, "", Repository("other", "work"), "record-refused"),
    "over-the-account": (WORK, "", KEEPER, "record-refused"),
}


@pytest.mark.parametrize(("about", "digest", "former", "cause"), UNCOPIED.values(), ids=UNCOPIED)
def test_what_must_not_be_copied_changes_nothing(
    vault: Vault, about: Repository, digest: str, former: Repository, cause: str
) -> None:
    known = {"": vault.add(records.repository(NOW), WORK, "work")[0],
             "account": vault.required(KEEPER).digest}
    before = _files(vault)

    with pytest.raises(ServiceFailure) as caught:
        vault.copy(about, known.get(digest, digest), former)

    assert caught.value.cause == cause and _files(vault) == before


def test_a_damaged_record_and_a_full_vault_are_told(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, _new = vault.add(records.repository(), WORK, "work")
    with monkeypatch.context() as patched:
        patched.setattr(store, "REPOSITORIES", 2)
        with pytest.raises(ServiceFailure, match="vault-full"):
            vault.copy(WORK, digest, FORMER)
    (vault.root / "dom-work" / "000001.json").write_bytes(b"{}")

    with pytest.raises(ServiceFailure, match="can be read"):
        vault.copy(WORK, digest, FORMER)

    assert not (vault.root / str(FORMER)).exists()


@pytest.mark.parametrize("value", ["VERSIONS", "REPOSITORIES"])
def test_a_flood_ends(vault: Vault, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    vault.add(records.repository(NOW), WORK, "work")
    monkeypatch.setattr(store, value, 1)
    other = Repository("dom", "other")
    about = WORK if value == "VERSIONS" else other

    with pytest.raises(ServiceFailure) as caught:
        vault.add(records.repository(NOW + 1, about), about, "keeper")

    assert caught.value.cause == "vault-full"


def test_a_kill_between_the_copy_and_its_name_is_taken_up(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", killed)
        with pytest.raises(KeyboardInterrupt):
            vault.add(records.repository(), WORK, "work")
    assert vault.newest(WORK) is None

    assert vault.add(records.repository(), WORK, "work")[1]


@pytest.mark.parametrize("data", [b"", b"{}", b"x" * 70000], ids=["empty", "other", "long"])
def test_a_damaged_newest_record_is_told_and_stays_before_a_good_one(
    vault: Vault, data: bytes
) -> None:
    vault.add(records.repository(), WORK, "work")
    (vault.root / "dom-work" / "000001.json").write_bytes(data)
    with pytest.raises(ServiceFailure, match="damaged"):
        vault.newest(WORK)

    digest, new = vault.add(records.repository(), WORK, "work")

    assert new and vault.required(WORK).digest == digest
    assert vault.add(records.repository(), WORK, "work") == (digest, False)
    assert _files(vault)["dom-work/000001.json"] == data


def _damaged_second(vault: Vault) -> None:
    vault.add(records.repository(NOW), WORK, "work")
    vault.add(records.repository(NOW + 1), WORK, "work")
    (vault.root / "dom-work" / "000002.json").write_bytes(b"{}")


def test_before_a_damaged_record_the_newest_that_can_be_read_is_given_and_that_is_said(
    vault: Vault,
) -> None:
    _damaged_second(vault)
    older = recovery_record.parse(records.repository(NOW))

    found = vault.newest(WORK)

    assert found is not None and (found.newest, found.versions) == (older, 2)
    assert found.damaged and vault.required(WORK) == older
    assert vault.copy(WORK, older.digest, FORMER)[1]
    vault.add(records.repository(NOW + 2), WORK, "work")
    now = vault.newest(WORK)
    assert now is not None and not now.damaged


# Clocks go wrong, differ between keyholders, and a hostile one says any time.
@pytest.mark.parametrize("made", [NOW - 1, NOW, 999999999999])
def test_what_comes_later_is_newer_whatever_time_it_says(vault: Vault, made: int) -> None:
    kept = vault.add(records.repository(made), WORK, "work")[0]

    digest, new = vault.add(records.repository(NOW - 1, nonce="1" * 32), WORK, "keeper")

    assert new and vault.required(WORK).digest == digest
    assert vault.superseded() == {kept}
    with pytest.raises(ServiceFailure, match="older"):
        vault.add(records.repository(made), WORK, "keeper")
    assert [*vault.take_back([recovery_record.parse(records.repository(made))])] == []
    assert vault.required(WORK).digest == digest


def test_after_a_damaged_record_one_of_before_is_refused_still(vault: Vault) -> None:
    vault.add(records.repository(NOW - 1), WORK, "work")
    vault.add(records.repository(NOW), WORK, "work")
    vault.add(records.repository(NOW + 1), WORK, "work")
    (vault.root / "dom-work" / "000003.json").write_bytes(b"{}")

    with pytest.raises(ServiceFailure, match="older"):
        vault.add(records.repository(NOW - 1), WORK, "work")
    with pytest.raises(ServiceFailure, match="wrong-caller"):
        vault.add(records.repository(NOW + 1), WORK, "personal")
    assert "dom-work/000004.json" not in _files(vault)


@pytest.mark.parametrize("made", [NOW, NOW + 1])
def test_a_file_brings_back_what_is_damaged(vault: Vault, made: int) -> None:
    _damaged_second(vault)
    brought = recovery_record.parse(records.repository(made))

    assert [*vault.take_back([brought])] == [brought.digest]
    assert vault.required(WORK) == brought
    assert not [*vault.take_back([brought])]
    assert not [*vault.take_back([recovery_record.parse(records.repository(NOW - 1))])]


def test_a_damaged_account_is_mended_by_the_next_one(vault: Vault) -> None:
    (vault.root / "dom-keeper" / "000001.json").write_bytes(b"{}")

    assert vault.add(records.account(), KEEPER, "keeper")[1]
    assert vault.account("dom") is not None


@pytest.mark.parametrize("name", sorted(json.loads(records.repository())))
def test_a_value_of_another_shape_is_refused_without_being_repeated(
    vault: Vault, name: str
) -> None:
    record = json.loads(records.repository())
    for bent in ("", "hunter2\n", "\x1b[2J", "x" * 50000):
        changed = json.dumps(record | {name: bent}, sort_keys=True, separators=(",", ":"))
        with pytest.raises(ServiceFailure) as caught:
            vault.add(changed.encode("ascii"), WORK, "work")
        assert caught.value.cause == "record-refused" and "hunter2" not in caught.value.detail
