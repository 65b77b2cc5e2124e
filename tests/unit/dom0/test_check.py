"""qvm-borg-check: the vault's record is proved again, one worker for each repository."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from qvm_borg import errors, record
from qvm_borg.tools import check, recover
from unit.dom0 import honest
from unit.dom0.honest import Honest, evidence
from unit.dom0.machine import answer, failure
from unit.dom0.test_escrow import noted

ARCHIVE = "work-2026-01-31T10:17:00"


def _run(machine: Honest, *args: str) -> int:
    code: int = check.main(list(args), app=machine.app)
    return code


def test_a_check_calls_the_client_not_at_all_and_renews_the_time(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    _notes(escrowed, times={"proved": "1"})

    assert _run(escrowed, "work") == 0

    assert capsys.readouterr().out == (
        f"work: the record in vault opens qubes-work; a file of {ARCHIVE} was read back\n")
    calls = [line for line in escrowed.app.trace if line.startswith("call ")]
    assert calls == [
        "call vault qborg.ReleaseRecord+qubes-work",
        "call borg-maintenance qborg.LendRepository+qubes-work",
        "call borg-worker qborg.ProveRecord+qubes-work"]
    assert int(noted(escrowed).times["proved"]) > 1
    assert escrowed.app.trace[-2:] == ["shutdown vault", "shutdown borg-maintenance"]


def _notes(machine: Honest, **changes: object) -> None:
    own = machine.app.domains.all["work"].features.own
    own["x-qborg"] = record.render(replace(noted(machine), **changes))  # type: ignore[arg-type]


def test_all_is_every_enrolled_qube_but_no_copy(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = escrowed.qube("copy")
    copy.features.own["x-qborg"] = escrowed.app.domains.all["work"].features.own["x-qborg"]

    assert _run(escrowed, "--all", "--json") == 0

    assert json.loads(capsys.readouterr().out) == [
        {"qube": "work", "repository": "qubes-work", "archive": ARCHIVE, "archives": 1}]


@pytest.mark.parametrize("more", [(), ("--keys",)], ids=["records", "keys"])
def test_one_whose_record_in_dom0_cannot_be_read_is_a_failure(
    escrowed: Honest, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    escrowed.qube("home").features.own["x-qborg"] = "{}"

    assert _run(escrowed, "--all", *more) == errors.PartialFailure.exit_code
    assert "`qvm-borg-status --resync home`" in capsys.readouterr().err


def test_one_that_fails_is_told_and_the_others_are_checked(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(escrowed, "nobody", "work", "--json") == errors.PartialFailure.exit_code

    told = capsys.readouterr()
    assert [each["qube"] for each in json.loads(told.out)] == ["work"]
    assert "there is no qube named nobody" in told.err and "1 of 2 qubes were not" in told.err


def test_of_several_keys_each_that_differs_is_told_by_its_qube(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    escrowed.qube("home")
    honest.run(escrowed, "home", escrow=True)
    told = " ".join((evidence("qubes-home", key="unknown"), evidence(key="2" * 64)))
    escrowed.answers["ObserveServer"] = answer(evidence=told)
    capsys.readouterr()

    assert _run(escrowed, "home", "work", "--keys") == errors.PartialFailure.exit_code

    err = capsys.readouterr().err
    assert "were not found as they were: home" in err and "Record(" not in err


# What is bent, and the error of `qvm-borg-check work`.
BENT: dict[str, tuple[Callable[[Honest], object], type[errors.QvmBorgError]]] = {
    "another-key": (lambda machine: machine.answers.update(ProveRecord=failure("keys-differ")),
                    errors.ProofFailed),
    "passphrase-changed": (
        lambda machine: machine.answers.update(ProveRecord=failure("wrong-passphrase")),
        errors.RepositoryError),
    "another-record": (lambda machine: machine.kept.update({"qubes-work": "e" * 64}),
                       errors.WireError),
    "never-backed-up": (lambda machine: _notes(machine, notes={"escrow": record.ESCROWED}),
                        errors.EscrowMissing),
    "not-proved-yet": (lambda machine: _notes(machine, step="backup", times={"proved": "0"}),
                       errors.NotEnrolled),
    "delivered-again": (lambda machine: _notes(machine, times={"proved": "0"}),
                        errors.NotEnrolled),
    "amid-a-rotation": (lambda machine: _notes(machine, notes={
        **noted(machine).notes, "rotation": f"{'a' * 32} {'b' * 16} key"}), errors.NotEnrolled),
    "no-escrow": (lambda machine: _notes(machine, notes={"escrow": record.NO_ESCROW}),
                  errors.EscrowMissing),
    "no-vault": (lambda machine: machine.app.domains.all["dom0"].features.own.pop("x-qborg-vault"),
                 errors.EscrowMissing),
}


@pytest.mark.parametrize(("bend", "error"), BENT.values(), ids=BENT)
def test_what_does_not_open_is_told_and_the_time_of_the_proof_stays(
    escrowed: Honest, bend: Callable[[Honest], object], error: type[errors.QvmBorgError]
) -> None:
    bend(escrowed)
    before = noted(escrowed)

    assert _run(escrowed, "work") == error.exit_code

    assert noted(escrowed) == before
    assert "borg-worker" not in escrowed.app.domains.all


@pytest.mark.parametrize("args", [(), ("work", "--all")])
def test_it_wants_some_qubes_or_all(escrowed: Honest, args: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        _run(escrowed, *args)

    assert escrowed.app.trace == []


def test_with_nothing_enrolled_it_says_so(ready: Honest) -> None:
    ready.vault()

    assert _run(ready, "--all") == errors.NotEnrolled.exit_code


def test_a_record_that_is_accepted_amid_an_enrolment_leaves_it_its_own_proof(
    escrowed: Honest
) -> None:
    _notes(escrowed, step="deliver", times={"proved": "0"})
    escrowed.kept["qubes-work"] = "e" * 64

    assert recover.main(["--accept-record", "work"], app=escrowed.app) == 0

    after = noted(escrowed)
    assert after.digests["record"] == "e" * 64
    assert (after.step, after.times) == ("deliver", {"proved": "0"})
