"""qvm-borg-recover --print-kit: made in the vault, named in dom0, and nothing more."""

import pytest

from qvm_borg import errors
from qvm_borg.tools import recover
from unit.dom0.honest import Honest, run
from unit.dom0.machine import Actions, failure


@pytest.fixture
def escrowed(ready: Honest) -> Honest:
    """Answer a machine on which `work` is enrolled, with a vault."""
    ready.vault()
    run(ready, escrow=True)
    ready.app.trace.clear()
    return ready


def _run(machine: Honest, *args: str) -> int:
    code: int = recover.main(["--print-kit", *args], app=machine.app)
    return code


@pytest.mark.parametrize("args", [("work",), ("--all",)])
def test_it_says_where_the_kit_is_and_starts_only_the_vault(
    escrowed: Honest, args: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()

    assert _run(escrowed, *args) == 0

    assert escrowed.app.trace == ["start vault", "call vault qborg.PrintKit+", "shutdown vault"]
    told = capsys.readouterr().out
    assert "the kit of 1 repositories is in vault: ~/qubes-borg-kit/kit-2026-01-31.html" in told
    assert "`qvm-run vault xdg-open qubes-borg-kit/kit-2026-01-31.html`" in told


FAILURES: dict[str, tuple[Actions, type[errors.QvmBorgError]]] = {
    "not-escrowed": (failure("record-missing"), errors.EscrowMissing),
    "damaged": (failure("record-refused"), errors.ServiceFailed),
    "no-qrencode": (failure("program-missing", "/usr/bin/qrencode is not installed"),
                    errors.TemplateError),
    "full": (failure("no-space"), errors.QubeUnavailable),
}


@pytest.mark.parametrize(("says", "error"), FAILURES.values(), ids=FAILURES)
def test_what_fails_in_the_vault_is_told(
    escrowed: Honest, says: Actions, error: type[errors.QvmBorgError]
) -> None:
    escrowed.answers["PrintKit"] = says

    assert _run(escrowed, "work") == error.exit_code
    assert escrowed.app.trace[-1] == "shutdown vault"


def test_a_vault_with_the_account_alone_has_no_kit_yet(ready: Honest) -> None:
    ready.vault()

    assert _run(ready, "--all") == errors.EscrowMissing.exit_code


@pytest.mark.parametrize(("name", "error"), [
    ("nobody", errors.QubeUnavailable), ("borg-maintenance", errors.NotEnrolled),
])
def test_a_qube_that_is_not_enrolled_has_no_kit(
    escrowed: Honest, name: str, error: type[errors.QvmBorgError]
) -> None:
    assert _run(escrowed, name) == error.exit_code
    assert escrowed.app.trace == []


def test_without_a_vault_it_says_so(ready: Honest) -> None:
    assert _run(ready, "--all") == errors.EscrowMissing.exit_code


@pytest.mark.parametrize("args", [(), ("work", "--all")])
def test_it_wants_some_qubes_or_all(escrowed: Honest, args: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        _run(escrowed, *args)
