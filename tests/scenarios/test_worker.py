"""The worker: opens a repository with the vault's record alone, and is gone whatever happens."""

import json
from typing import Any

import pytest

from lab import Lab
from scenarios import attacker, attempts, lost, person, state, thief
from scenarios.thief import OWN, url

KEEPER, VAULT, WORKER, CLIENT = "borg-maintenance", "vault", "borg-worker", "work"
CHECK = ("qvm-borg-check", CLIENT)
REPAIR = ("qvm-borg-recover", "--repair-key", CLIENT)
CARELESS = "/etc/qubes/policy.d/30-user.policy"


def _proved(lab: Lab) -> int:
    known: dict[str, Any] = json.loads(state.qubesd(lab)[CLIENT]["features"]["x-qborg"])
    return int(known["times"]["proved"])


def _is_gone(lab: Lab) -> None:
    assert WORKER not in lab.qubes()
    assert "x-qborg-worker" not in state.qubesd(lab)["dom0"]["features"]
    assert state.gates(lab) == []


def test_an_enrolment_is_proved_in_a_worker_that_has_no_network(vaulted: Lab) -> None:
    vaulted.faults.clear()

    said = person.runs(vaulted, "qvm-borg-enroll", CLIENT)

    assert "a file was read back in a worker, with the vault's record alone" in said
    _is_gone(vaulted)
    names = [call["name"] for call in vaulted.trace()]
    made, cut, started = (names.index(name) for name in (
        "admin.vm.Create.DispVM+default-dvm", "admin.vm.property.Set+netvm",
        "admin.vm.feature.Set+service.qborg-worker"))
    assert made < cut < started
    assert any(name == "qborg.ServeRepository+qubes-work" for name in names)


def test_a_check_wakes_no_client_and_renews_the_time(escrowed: Lab) -> None:
    escrowed.do("shutdown", CLIENT)
    before = _proved(escrowed)

    said = person.runs(escrowed, *CHECK, "--json")

    assert '"archives": 1' in said and '"repository": "qubes-work"' in said
    assert escrowed.qubes()[CLIENT]["state"] == "Halted"
    assert escrowed.qubes()[VAULT]["state"] == "Halted"
    assert _proved(escrowed) >= before
    _is_gone(escrowed)


def test_the_templates_ssh_knows_how_to_end_what_is_idle(steady: Lab) -> None:
    asked = ["ssh", "-G", "-o", "ChannelTimeout=session=600", "bakadmin"]

    shown = steady.exec(KEEPER, asked, check=True).stdout

    assert b"channeltimeout session=600\n" in shown


def _key_changes(lab: Lab, passphrase: str) -> None:
    changed = thief.borg(lab, "key", "change-passphrase", url(OWN),
                         env={"BORG_NEW_PASSPHRASE": passphrase})  # fmt: skip
    assert changed.returncode == 0, changed


def test_a_changed_passphrase_is_noticed(escrowed: Lab) -> None:
    _key_changes(escrowed, "evil")
    before = _proved(escrowed)

    person.is_refused(escrowed, *CHECK, code=19, says="does not open the repository")

    assert _proved(escrowed) == before
    _is_gone(escrowed)


def test_a_key_that_is_not_the_escrowed_one_is_noticed(escrowed: Lab) -> None:
    same = escrowed.exec(CLIENT, ["cat", ".ssh/backups/borgpass"], check=True).stdout.decode()
    _key_changes(escrowed, same.strip())

    person.is_refused(escrowed, *CHECK, code=12, says="another key than the recovery record")
    _is_gone(escrowed)


@pytest.mark.parametrize("passphrase", ["evil", None], ids=["changed", "removed"])
def test_a_key_that_somebody_changed_is_seen_at_the_server_and_put_back(
    escrowed: Lab, passphrase: str | None
) -> None:
    keys = (*CHECK, "--keys")
    assert "has the key that was exported" in person.runs(escrowed, *keys)
    assert "nothing was changed" in person.runs(escrowed, *REPAIR)
    if passphrase is None:
        lost.loses_its_key(escrowed, "qubes-work")
    else:
        _key_changes(escrowed, passphrase)
    escrowed.do("shutdown", CLIENT)

    hint = person.is_refused(escrowed, *keys, code=12, says="is not the exported one")
    assert "--repair-key work" in hint
    assert "was put back" in person.runs(escrowed, *REPAIR)

    assert escrowed.qubes()[CLIENT]["state"] == "Halted"
    assert "has the key that was exported" in person.runs(escrowed, *keys)
    person.runs(escrowed, *CHECK)
    person.runs(escrowed, "qvm-borg-backup", CLIENT)
    _is_gone(escrowed)


@pytest.mark.kill
@pytest.mark.parametrize("victim", ["kill-tool", "kill-service", f"kill-qube:{WORKER}"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_as_a_key_is_put_back_is_mended_by_the_next_run(
    escrowed: Lab, when: str, victim: str
) -> None:
    _key_changes(escrowed, "evil")
    escrowed.faults.clear()
    escrowed.faults.add(where="qrexec", match="qborg.RepairKey+*", action=victim, when=when)
    escrowed.run(list(REPAIR), timeout=900)
    assert any(entry["hit"] for entry in escrowed.trace())
    escrowed.faults.clear()

    person.runs(escrowed, *REPAIR)

    person.runs(escrowed, *CHECK)
    _is_gone(escrowed)


def test_another_repository_that_is_lent_proves_nothing(escrowed: Lab) -> None:
    person.runs(escrowed, "qvm-borg-enroll", "personal")
    # The worker asks for repos/qubes-work, and an evil lender answers with what lies elsewhere.
    escrowed.server.exec(["sh", "-euc", f"cd {person.HOME}/repos; mv qubes-work aside; "
                          "cp -a qubes-personal qubes-work"], check=True)  # fmt: skip

    person.is_refused(escrowed, *CHECK, code=19, says="does not open the repository")
    _is_gone(escrowed)


# Who asks for a repository that was not lent to it, though somebody's own policy lets it.
STRANGERS = {
    "client": (CLIENT, "qubes-work"),
    "another": ("plain", "qubes-work"),
    "another-repository": (CLIENT, "qubes-personal"),
    "no-repository": (CLIENT, "repos"),
    "climbing": (CLIENT, "qubes-work.."),
}
LENT = attempts.named(
    "ask for a repository though a careless policy allows it", "refused: it is not lent", STRANGERS)


@pytest.mark.parametrize(("source", "repository"), STRANGERS.values(), ids=STRANGERS)
def test_a_repository_is_lent_to_nobody_who_was_not_announced(
    escrowed: Lab, source: str, repository: str
) -> None:
    escrowed.do("start", KEEPER)
    line = b"qborg.ServeRepository * @anyvm @anyvm allow\n"
    attacker.writes(escrowed, CARELESS, line, user="root")

    answer = attacker.calls(escrowed, source, KEEPER, f"qborg.ServeRepository+{repository}")

    attacker.removes(escrowed, CARELESS, user="root")
    assert answer.returncode == 1 and answer.stdout == b""


KILLS = [
    (call, when, victim)
    for call in ("qborg.ReleaseRecord+qubes-work", "qborg.AcceptRecord+qubes-work",
                 "qborg.LendRepository+qubes-work", "qborg.ServeRepository+qubes-work",
                 "qborg.ProveRecord+qubes-work", "admin.vm.Kill+")
    for when in ("before", "after")
    for victim in ("kill-tool", f"kill-qube:{WORKER}")
]
# What dom0 does to a worker before it runs and after it ran: there the tool alone can be killed.
KILLS += [
    (call, when, "kill-tool")
    for call in ("admin.vm.feature.Set+x-qborg-worker", "admin.vm.Create.DispVM+default-dvm",
                 "admin.vm.property.Set+netvm", "admin.vm.feature.Set+service.qborg-worker",
                 "admin.vm.Start+", "admin.vm.Remove+", "admin.vm.feature.Remove+x-qborg-worker")
    for when in ("before", "after")
]


@pytest.mark.kill
@pytest.mark.parametrize(("call", "when", "victim"), KILLS)
def test_after_a_kill_the_worker_is_gone_at_the_latest_with_the_next_command(
    escrowed: Lab, call: str, when: str, victim: str
) -> None:
    escrowed.faults.clear()
    where = "qubesd" if call.startswith("admin.") else "qrexec"
    escrowed.faults.add(where=where, match=call, action=victim, when=when, n=0)
    escrowed.run(list(CHECK))
    assert any(entry["hit"] for entry in escrowed.trace())
    escrowed.faults.clear()

    person.runs(escrowed, *CHECK)

    _is_gone(escrowed)
