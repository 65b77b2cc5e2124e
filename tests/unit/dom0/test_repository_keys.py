"""The key in each repository: compared without waking anybody, and put back in a worker."""

import pytest

from qvm_borg import errors
from qvm_borg.tools import check, recover
from unit.dom0.honest import Honest, evidence, run
from unit.dom0.machine import Actions, answer, failure

GOOD = evidence()


def _compares(machine: Honest, *args: str) -> int:
    code: int = check.main(["--keys", *args], app=machine.app)
    return code


@pytest.mark.parametrize("args", [("work",), ("--all",)])
def test_one_call_to_the_maintenance_qube_compares_all(
    escrowed: Honest, args: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compares(escrowed, *args) == 0

    assert escrowed.app.trace == ["start borg-maintenance",
                                  "call borg-maintenance qborg.ObserveServer+",
                                  "shutdown borg-maintenance"]
    assert "work: qubes-work has the key that was exported" in capsys.readouterr().out


# What the maintenance qube answers, and what dom0 makes of it.
ANSWERS: dict[str, tuple[Actions, type[errors.QvmBorgError]]] = {
    "another-key": (answer(evidence=evidence(key="e" * 64)), errors.ProofFailed),
    "missing": (answer(evidence=evidence(key="missing")), errors.ProofFailed),
    "another-repository": (answer(evidence=evidence("qubes-mail")), errors.WireError),
    "one-more": (answer(evidence=f"{GOOD} {GOOD}"), errors.WireError),
    "none": (answer(evidence="none"), errors.WireError),
    "escapes": (answer(evidence=GOOD.replace("fine", "\x1b[2J")), errors.WireError),
    "borg-alone": (answer(evidence=evidence(key="unknown")), errors.SettingsError),
    "no-files": (failure("access-changed"), errors.SettingsError),
}


@pytest.mark.parametrize(("says", "error"), ANSWERS.values(), ids=ANSWERS)
def test_another_key_or_a_lie_is_told(
    escrowed: Honest, says: Actions, error: type[errors.QvmBorgError],
    capsys: pytest.CaptureFixture[str],
) -> None:
    escrowed.answers["ObserveServer"] = says

    assert _compares(escrowed, "work") == error.exit_code

    told = capsys.readouterr().err
    assert "\x1b" not in told
    if error is errors.ProofFailed:
        assert "Else `qvm-borg-recover --repair-key work`" in told


def test_with_nothing_enrolled_it_says_so(ready: Honest) -> None:
    assert _compares(ready, "--all") == errors.NotEnrolled.exit_code


def _repairs(machine: Honest, *args: str) -> int:
    code: int = recover.main(["--repair-key", *args], app=machine.app)
    return code


def test_a_key_is_put_back_in_a_worker_once(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _repairs(escrowed, "work") == 0 == _repairs(escrowed, "work")

    told = capsys.readouterr().out
    assert "work: the key of qubes-work was put back\n" in told
    assert "work: qubes-work has the vault's key; nothing was changed\n" in told
    calls = [line for line in escrowed.app.trace if line.startswith("call ")]
    assert calls[3] == "call borg-worker qborg.RepairKey+qubes-work" and len(calls) == 8
    assert "borg-worker" not in escrowed.app.domains.all


BENT: dict[str, tuple[Actions, type[errors.QvmBorgError]]] = {
    "another-record": (answer(record="e" * 64, changed="yes"), errors.WireError),
    "not-kept": (failure("keys-differ"), errors.ProofFailed),
    "passphrase": (failure("wrong-passphrase"), errors.RepositoryError),
    "dies": ([["read"], ["exit", 255]], errors.QubeUnavailable),
    "a-key-file": (failure("needs-no-key", "nothing was changed"), errors.NotFound),
}


@pytest.mark.parametrize(("says", "error"), BENT.values(), ids=BENT)
def test_a_repair_that_fails_is_told_and_the_worker_is_gone(
    escrowed: Honest, says: Actions, error: type[errors.QvmBorgError]
) -> None:
    escrowed.answers["RepairKey"] = says

    assert _repairs(escrowed, "work") == error.exit_code
    assert "borg-worker" not in escrowed.app.domains.all and not list(escrowed.policy.iterdir())


def test_another_record_than_dom0_knows_is_lent_nothing(escrowed: Honest) -> None:
    escrowed.values["ReleaseRecord"] = {"record": "e" * 64}
    escrowed.app.trace.clear()

    assert _repairs(escrowed, "work") == errors.WireError.exit_code

    called = " ".join(escrowed.app.trace)
    assert "qborg.ReleaseRecord" in called
    assert "LendRepository" not in called and "RepairKey" not in called


@pytest.mark.parametrize("name", ["work", "qubes-work"])
def test_the_key_of_a_qube_that_is_gone_is_put_back_by_the_vaults_digest(
    escrowed: Honest, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    del escrowed.app.domains.all["work"]

    assert _repairs(escrowed, name) == 0

    assert "the key of qubes-work was put back" in capsys.readouterr().out


def test_an_older_record_than_the_newest_is_never_used_silently(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    escrowed.values["DescribeRecord"] = {"record": "e" * 64, "damaged": "yes"}
    escrowed.kept["qubes-work"] = "e" * 64

    assert _repairs(escrowed, "work") == errors.WireError.exit_code, "dom0 knows the newest"
    said = capsys.readouterr()
    assert "the newest record of qubes-work is damaged" in said.out
    assert "--accept-record" in said.err
    del escrowed.app.domains.all["work"]
    assert _repairs(escrowed, "work") == 0
    assert "the newest record of qubes-work is damaged" in capsys.readouterr().out


def test_a_name_that_nobody_had_is_no_repository_of_the_vault(escrowed: Honest) -> None:
    escrowed.answers["ReleaseRecord"] = failure("record-missing")

    assert _repairs(escrowed, "mail") == errors.EscrowMissing.exit_code


def test_without_a_vault_there_is_nothing_to_put_back(ready: Honest) -> None:
    run(ready)

    assert _repairs(ready, "work") == errors.EscrowMissing.exit_code


@pytest.mark.parametrize("args", [(), ("work", "mail"), ("--all",)])
def test_it_takes_exactly_one_qube(escrowed: Honest, args: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        _repairs(escrowed, *args)
