"""The vault has what opens every repository, and the maintenance qube has it no longer."""

import json
from typing import Any

import pytest

from lab import Lab
from scenarios import person, state

KEEPER, VAULT = "borg-maintenance", "vault"
RECORDS = "/home/user/.local/share/qubes-borg/records"
SECRETS = "/home/user/.local/share/qubes-borg/host-keys/qubes-work"


def _starts(lab: Lab) -> None:
    if lab.qubes()[VAULT]["state"] == "Halted":
        lab.do("start", VAULT)


def _newest(lab: Lab, repository: str) -> dict[str, Any]:
    """Answer the newest record of a repository, as it lies in the vault."""
    _starts(lab)
    newest = f"cat $(ls -d {RECORDS}/{repository}/*.json | tail -n 1)"
    answer: dict[str, Any] = json.loads(lab.exec(VAULT, ["sh", "-c", newest], check=True).stdout)
    return answer


def test_a_set_up_has_the_account_in_the_vault(vaulted: Lab) -> None:
    assert vaulted.qubes()[VAULT]["state"] == "Halted", "it is put back as it was found"
    found = _newest(vaulted, "qubes-borg-maintenance")

    key = vaulted.exec(KEEPER, ["cat", ".local/share/qubes-borg/admin/key"], check=True).stdout
    assert found["kind"] == "account" and found["private_key"].encode() == key
    before = state.everything(vaulted)
    assert "nothing was changed" in person.runs(vaulted, "qvm-borg-setup")
    assert state.everything(vaulted) == before


def test_an_enrolment_ends_with_the_secrets_in_client_and_vault(vaulted: Lab) -> None:
    said = person.runs(vaulted, "qvm-borg-enroll", "work")

    assert "[ 6/11] escrow     work: its record is in vault" in said
    assert "[11/11] forget     work: borg-maintenance has forgotten its secrets" in said
    found = _newest(vaulted, "qubes-work")
    passphrase = vaulted.exec("work", ["cat", ".ssh/backups/borgpass"], check=True).stdout
    assert found["passphrase"].encode() == passphrase.strip()
    left = vaulted.exec(KEEPER, ["ls", "-A", SECRETS, f"{SECRETS}/.."], check=True).stdout.decode()
    assert left.split() == [f"{SECRETS}:", "qubes-work.openssh.pub", f"{SECRETS}/..:", "qubes-work"]
    assert state.noted(vaulted)["step"] == "forget"
    assert state.gates(vaulted) == []


def test_the_accounts_record_knows_of_the_enrolment(escrowed: Lab) -> None:
    registry = json.loads(_newest(escrowed, "qubes-borg-maintenance")["registry"])

    assert list(registry["repositories"]) == ["qubes-work"]


def test_enrolling_again_changes_nothing(escrowed: Lab) -> None:
    _starts(escrowed)
    before = state.everything(escrowed)

    said = person.runs(escrowed, "qvm-borg-enroll", "work")

    assert "nothing was changed" in said
    assert state.changes(before, state.everything(escrowed)) == []


def test_a_quota_can_be_given_when_the_secrets_are_forgotten(escrowed: Lab) -> None:
    person.runs(escrowed, "qvm-borg-enroll", "work", "--quota", "50M")

    keys = escrowed.server.exec(["cat", f"{person.HOME}/{person.KEYS}"], check=True).stdout
    assert b"--storage-quota 50M" in keys


def test_backups_go_on_when_the_secrets_are_forgotten(escrowed: Lab) -> None:
    person.runs(escrowed, "qvm-borg-backup", "work")

    listed = escrowed.exec("work", ["borgbak", "list", "--short"], check=True).stdout
    assert len(listed.splitlines()) == 2


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["for-real", "dry"])
def test_without_a_vault_escrow_has_to_be_declined(ready: Lab, dry: tuple[str, ...]) -> None:
    before = state.everything(ready)

    person.is_refused(ready, "qvm-borg-enroll", "work", *dry, code=14, says="no vault yet")

    assert state.everything(ready) == before


def test_a_qube_with_a_network_is_no_vault(ready: Lab) -> None:
    before = state.everything(ready)

    person.is_refused(ready, "qvm-borg-setup", "--vault", "personal", code=3, says="has a netvm")

    assert state.everything(ready) == before


@pytest.mark.parametrize("qube", ["plain", "borg-maintenance", "default-dvm", "debian-13"])
def test_a_qube_that_cannot_be_the_vault_is_refused(ready: Lab, qube: str) -> None:
    before = state.everything(ready)

    person.is_refused(ready, "qvm-borg-setup", "--vault", qube, code=3, says=qube)

    assert state.everything(ready) == before


def test_an_escrowed_qube_keeps_its_escrow(escrowed: Lab) -> None:
    before = state.everything(escrowed)

    person.is_refused(escrowed, "qvm-borg-enroll", "work", "--no-escrow", code=13,
                      says="has its record in the vault already")  # fmt: skip

    assert state.changes(before, state.everything(escrowed)) == []


def test_a_full_vault_stops_the_enrolment_before_delivery_and_loses_nothing(vaulted: Lab) -> None:
    _starts(vaulted)
    fill = f"mkdir -p {RECORDS} && mount -t tmpfs -o size=64k,mode=0700,uid=1000 none {RECORDS} && "
    fill += f"head -c 65536 /dev/zero > {RECORDS}/x; true"
    vaulted.exec(VAULT, ["sh", "-c", fill], user="root", check=True)

    person.is_refused(vaulted, "qvm-borg-enroll", "work", code=5, says="vault")

    assert vaulted.exec("work", ["test", "-e", ".ssh/backups"]).returncode == 1
    vaulted.exec(VAULT, ["umount", RECORDS], user="root", check=True)
    person.runs(vaulted, "qvm-borg-enroll", "work")


# Those of the tool after each call at each commit; the others with `make test-kill`, whose table
# has all of them once more.
ROWS = [pytest.param(f"qborg.{call}+qubes-work", when, victim, id=f"{victim}-{when}-{call}",
                     marks=[pytest.mark.kill] * ((when, victim) != ("after", "kill-tool")))
        for victim in ("kill-tool", "kill-qube:vault", "kill-qube:borg-maintenance")
        for when in ("before", "after") for call in ("StoreRecord", "SendRecord", "ForgetSecrets")]


@pytest.mark.parametrize(("call", "when", "victim"), ROWS)
def test_a_kill_at_the_records_way_loses_nothing(
    vaulted: Lab, call: str, when: str, victim: str
) -> None:
    vaulted.faults.clear()
    # How often it is tried before the gate is noticed varies; every try is hit.
    vaulted.faults.add(where="qrexec", match=call, action=victim, when=when, n=0)
    vaulted.run(["qvm-borg-enroll", "work"])
    assert any(entry["hit"] for entry in vaulted.trace())
    vaulted.faults.clear()

    person.runs(vaulted, "qvm-borg-enroll", "work")

    passphrase = vaulted.exec("work", ["cat", ".ssh/backups/borgpass"], check=True).stdout
    assert _newest(vaulted, "qubes-work")["passphrase"].encode() == passphrase.strip()
    assert state.noted(vaulted)["step"] == "forget"
    assert state.gates(vaulted) == []
    versions = vaulted.exec(VAULT, ["ls", f"{RECORDS}/qubes-work"], check=True).stdout.split()
    assert versions == [b"000001.json"], "the same record is sent again, and kept once"


def test_a_record_that_the_vault_lost_is_told(escrowed: Lab) -> None:
    _starts(escrowed)
    escrowed.exec(VAULT, ["rm", "-r", f"{RECORDS}/qubes-work"], check=True)

    person.is_refused(escrowed, "qvm-borg-enroll", "work", code=14,
                      says="does not have the record of work")  # fmt: skip


def test_a_damaged_record_is_told_and_a_rotation_makes_another(escrowed: Lab) -> None:
    _starts(escrowed)
    spoil = f"echo >> {RECORDS}/qubes-work/000001.json"
    escrowed.exec(VAULT, ["sh", "-c", spoil], check=True)

    person.is_refused(escrowed, "qvm-borg-enroll", "work", code=25, says="damaged")

    person.runs(escrowed, "qvm-borg-rotate", "work")
    assert "nothing was changed" in person.runs(escrowed, "qvm-borg-enroll", "work")
