"""Where a repository's key is: chosen once, noted, gone on with; compared by what that means."""

import pytest

from qvm_borg import errors
from qvm_borg.session import Session
from qvm_borg.tools import check, enroll, recover, rotate
from unit.dom0.honest import Honest, evidence
from unit.dom0.machine import failure
from unit.dom0.machine import Actions, answer
from unit.dom0.test_client_keys import turns
from unit.dom0.test_escrow import noted

REPOKEY, KEYFILE = "repokey-blake2", "keyfile-blake2"


@pytest.fixture(autouse=True)
def gate(machine: Honest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a command find the machine's gate."""
    monkeypatch.setattr(Session.__init__, "__defaults__", (machine.policy,))


@pytest.fixture
def filed(escrowing: Honest) -> Honest:
    """work is enrolled with a key file."""
    escrowing.encryption = KEYFILE
    assert _enrols(escrowing, "--encryption", KEYFILE) == 0
    return escrowing


def _enrols(machine: Honest, *args: str) -> int:
    machine.app.trace.clear()
    code: int = enroll.main(["work", *args], app=machine.app)
    return code


@pytest.mark.parametrize("chosen", [(), ("--encryption", REPOKEY)], ids=["default", "chosen"])
def test_the_default_is_noted_as_well(escrowing: Honest, chosen: tuple[str, ...]) -> None:
    assert _enrols(escrowing, *chosen) == 0

    assert noted(escrowing).encryption == REPOKEY


def test_what_was_chosen_goes_on_without_the_option(
    filed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert noted(filed).encryption == KEYFILE

    assert _enrols(filed) == 0 == _enrols(filed, "--encryption", KEYFILE)

    assert capsys.readouterr().out.count("nothing was changed") == 2
    turns(filed)
    assert rotate.main(["work"], app=filed.app) == 0
    assert noted(filed).encryption == KEYFILE


@pytest.mark.parametrize("before", [(), ("--encryption", KEYFILE)], ids=["repokey", "keyfile"])
@pytest.mark.parametrize("cut", ["PublishKeys", "InitRepository", "RunBackup"])
def test_it_is_noted_before_anything_is_made_of_it(
    escrowing: Honest, before: tuple[str, ...], cut: str
) -> None:
    escrowing.encryption = KEYFILE if before else REPOKEY
    escrowing.answers[cut] = [["read"], ["exit", 255]]
    assert _enrols(escrowing, *before) == errors.QubeUnavailable.exit_code
    del escrowing.answers[cut]
    other = REPOKEY if before else KEYFILE

    assert _enrols(escrowing, "--encryption", other) == errors.EnrolmentRefused.exit_code
    assert not any(line.startswith(("set ", "call ")) for line in escrowing.app.trace)
    assert _enrols(escrowing) == 0
    assert noted(escrowing).encryption == escrowing.encryption


def test_a_keyholder_that_made_another_is_told_and_nothing_goes_on(
    escrowing: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _enrols(escrowing, "--encryption", KEYFILE) == errors.EnrolmentRefused.exit_code

    assert "another encryption" in capsys.readouterr().err
    assert noted(escrowing).step == "publish"


def test_without_a_vault_nothing_goes_on_with_a_file(escrowing: Honest) -> None:
    escrowing.encryption = KEYFILE
    escrowing.answers["RunBackup"] = [["read"], ["exit", 255]]
    escrowing.answers["SendRecord"] = [["read"], ["exit", 255]]
    assert _enrols(escrowing, "--encryption", KEYFILE) != 0

    assert _enrols(escrowing, "--no-escrow") == errors.EscrowMissing.exit_code
    assert not any(line.startswith(("set ", "call ")) for line in escrowing.app.trace)


@pytest.mark.parametrize("args", [(), ("--no-escrow",)], ids=["escrow", "no-escrow"])
def test_a_file_that_nobody_asked_for_is_not_gone_on_with(
    escrowing: Honest, args: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    escrowing.encryption = KEYFILE

    assert _enrols(escrowing, *args) == errors.EnrolmentRefused.exit_code
    assert KEYFILE in capsys.readouterr().err


def test_a_file_that_was_asked_for_is_not_gone_on_with_where_no_vault_is(
    escrowing: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    escrowing.answers["InitRepository"] = failure("internal")
    assert _enrols(escrowing, "--encryption", KEYFILE) == errors.ServiceFailed.exit_code

    assert _enrols(escrowing, "--no-escrow") == errors.EscrowMissing.exit_code
    assert "only a vault can keep that" in capsys.readouterr().err


WRONG = {
    "no-escrow": ("--encryption", KEYFILE, "--no-escrow"),
    "import": ("--encryption", REPOKEY, "--import", "/home/user/keys"),
    "continue": ("--encryption", KEYFILE, "--continue", "old"),
    "line-only": ("--encryption", KEYFILE, "--show-authorized-keys"),
    "another-word": ("--encryption", "none"),
}


@pytest.mark.parametrize("args", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_together_is_wrong_usage(
    escrowing: Honest, args: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        _enrols(escrowing, *args)

    assert not escrowing.app.trace


@pytest.mark.parametrize(("args", "says"), [
    ((), "to recover takes the passphrase, and the vault's copy"),
    (("--encryption", KEYFILE), "the passphrase alone opens nothing"),
], ids=["repokey", "keyfile"])
def test_the_plan_says_what_recovery_takes(
    escrowing: Honest, args: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _enrols(escrowing, *args, "--dry-run") == 0

    assert says in capsys.readouterr().out


def test_a_repository_without_a_key_is_as_it_should_be(
    filed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(["--keys", "work"], app=filed.app) == 0

    assert "work: qubes-work has no key, as it should" in capsys.readouterr().out


SEEN: dict[str, Actions] = {
    "a-key": answer(evidence=evidence()),
    "gone": answer(evidence=evidence(key="missing")),
}


@pytest.mark.parametrize("says", SEEN.values(), ids=SEEN)
def test_a_key_in_it_or_none_of_it_is_told(
    filed: Honest, says: Actions, capsys: pytest.CaptureFixture[str]
) -> None:
    filed.answers["ObserveServer"] = says

    assert check.main(["--keys", "work"], app=filed.app) == errors.ProofFailed.exit_code

    assert "--repair-key" not in capsys.readouterr().err


def test_without_its_key_one_of_the_default_is_told(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    escrowed.answers["ObserveServer"] = answer(evidence=evidence(key="none"))

    assert check.main(["--keys", "work"], app=escrowed.app) == errors.ProofFailed.exit_code

    assert "`qvm-borg-recover --repair-key work`" in capsys.readouterr().err


def test_no_key_is_put_where_none_belongs(
    filed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    filed.app.trace.clear()

    assert recover.main(["--repair-key", "work"], app=filed.app) == errors.NotFound.exit_code

    assert not any(line.startswith(("call ", "start ")) for line in filed.app.trace)
    assert "`qvm-borg-check work`" in capsys.readouterr().err
