"""qvm-borg-recover --print-kit: the vault makes it, dom0 says of what and where it lies."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qborg_wire.names import Repository
from qvm_borg import errors, record, settings
from qvm_borg.tools import recover
from unit.dom0.honest import Honest
from unit.dom0.machine import Actions, answer, failure
from unit.dom0.test_escrow import noted

KIT = {"file": "qubes-borg-kit/kit-2026-11-28", "repositories": "1", "pages": "3",
       "older": "none", "missing": "none"}


def _run(machine: Honest, *args: str) -> int:
    code: int = recover.main(["--print-kit", *args], app=machine.app)
    return code


def _keeps(file: Path, **values: str) -> Actions:
    """Answer the actions of a vault that keeps what it was asked in a file."""
    read, write = answer(**KIT | values)
    return [read, ["keep", str(file)], write]


def _notes(machine: Honest, qube: str, **changes: object) -> None:
    bent = replace(noted(machine), **changes)  # type: ignore[arg-type]
    machine.app.domains.all[qube].features.own["x-qborg"] = record.render(bent)


def test_a_kit_is_made_in_the_vault_which_is_put_back_as_it_was(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(escrowed, "work") == 0

    assert escrowed.app.trace == ["start vault", "call vault qborg.PrintKit+", "shutdown vault"]
    assert capsys.readouterr().out == (
        "the kit of zh1@backup.example is in vault: ~/qubes-borg-kit/kit-2026-11-28.html, "
        "and as .txt\n"
        "repositories: 1; pages: 3\n"
        "print it there: open the .html in a browser of vault, A4 or Letter at 100 %; "
        "whoever holds it reads every backup in it: keep it as you keep a passport\n")


def test_a_vault_that_runs_stays_on(escrowed: Honest) -> None:
    escrowed.app.domains.all["vault"].state = "Running"

    assert _run(escrowed, "--all") == 0
    assert escrowed.app.trace == ["call vault qborg.PrintKit+"]


@pytest.mark.parametrize(("args", "others"), [(("work", "work"), "no"), (("--all",), "yes")])
def test_the_vault_is_asked_for_each_once_and_for_what_else_it_has(
    escrowed: Honest, tmp_path: Path, args: tuple[str, ...], others: str
) -> None:
    escrowed.answers["PrintKit"] = _keeps(tmp_path / "asked")

    assert _run(escrowed, *args) == 0

    asked = json.loads((tmp_path / "asked").read_bytes())
    assert asked.pop("nonce")
    assert asked == {"machine": "qubes", "repositories": ["qubes-work"], "others": others}


def test_it_takes_no_maintenance_qube(escrowed: Honest) -> None:
    del escrowed.app.domains.all["borg-maintenance"]

    assert _run(escrowed, "--all") == 0


def test_all_leaves_out_what_is_in_no_vault_and_says_so(
    escrowed: Honest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare, copy = escrowed.qube("bare"), escrowed.qube("copy")
    _notes(escrowed, "bare", uuid=bare.uuid, notes={"escrow": record.NO_ESCROW},
           repository=Repository("qubes", "bare"))
    _notes(escrowed, "copy")
    escrowed.answers["PrintKit"] = _keeps(tmp_path / "asked")

    assert _run(escrowed, "--all") == 0

    assert json.loads((tmp_path / "asked").read_bytes())["repositories"] == ["qubes-work"]
    said = capsys.readouterr().out
    assert said.startswith("bare is not in it: its record is not in vault\n")
    assert "copy" not in said and copy.uuid != bare.uuid


def test_all_has_also_what_only_the_vault_still_knows(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    del escrowed.app.domains.all["work"]
    escrowed.values["PrintKit"] = {"repositories": "3"}

    assert _run(escrowed, "--all") == 0
    assert "repositories: 3; pages: 3\n" in capsys.readouterr().out


@pytest.mark.parametrize(("args", "told"), [
    (("--all",), {"repositories": "2", "older": "qubes-mail", "missing": "qubes-work"}),
    (("--all",), {"repositories": "1", "missing": "qubes-old"}),
    (("work",), {"older": "qubes-borg-maintenance qubes-work"}),
], ids=["all", "all-but-one-that-is-gone", "named"])
def test_of_a_damaged_record_the_kit_is_made_and_it_ends_as_a_part(
    escrowed: Honest, capsys: pytest.CaptureFixture[str], args: tuple[str, ...],
    told: dict[str, str],
) -> None:
    escrowed.values["PrintKit"] = told

    assert _run(escrowed, *args) == errors.PartialFailure.exit_code

    said = capsys.readouterr()
    assert "the kit of zh1@backup.example is in vault" in said.out
    assert told.get("older", "none") in said.err and told.get("missing", "none") in said.err


def _forgets(feature: str) -> Callable[[Honest], object]:
    return lambda machine: machine.app.domains.all["dom0"].features.own.pop(feature)


def _copies(machine: Honest) -> None:
    machine.qube("copy")
    _notes(machine, "copy")


# What is bent, what is asked, the error.
BENT: dict[str, tuple[Callable[[Honest], object], str, type[errors.QvmBorgError]]] = {
    "no-vault": (_forgets("x-qborg-vault"), "work", errors.EscrowMissing),
    "vault-gone": (lambda machine: machine.app.domains.all.pop("vault"), "--all",
                   errors.SettingsError),
    "vault-with-a-network": (
        lambda machine: setattr(machine.app.domains.all["vault"], "netvm", "sys-firewall"),
        "--all", errors.SettingsError),
    "vault-does-not-start": (
        lambda machine: setattr(machine.app.domains.all["vault"], "stuck", True), "work",
        errors.QubeUnavailable),
    "not-set-up": (lambda _machine: settings.path().unlink(), "--all", errors.SettingsError),
    "no-such-qube": (lambda _machine: None, "nobody", errors.QubeUnavailable),
    "not-enrolled": (lambda machine: machine.qube("plain"), "plain", errors.NotEnrolled),
    "a-copy": (_copies, "copy", errors.NotEnrolled),
    "no-escrow": (lambda machine: _notes(machine, "work", notes={"escrow": record.NO_ESCROW}),
                  "work", errors.EscrowMissing),
    "record-lost": (
        lambda machine: machine.answers.update(PrintKit=failure("record-missing", "qubes-work")),
        "work", errors.EscrowMissing),
    "record-damaged": (
        lambda machine: machine.answers.update(PrintKit=failure("record-refused", "damaged")),
        "--all", errors.ServiceFailed),
    "no-qrencode": (
        lambda machine: machine.answers.update(PrintKit=failure("program-missing", "qrencode")),
        "work", errors.TemplateError),
    "too-old": (lambda machine: machine.answers.update(PrintKit=[["exit", 127]]), "work",
                errors.ServiceMissing),
    "disk-full": (lambda machine: machine.answers.update(PrintKit=failure("no-space")), "work",
                  errors.QubeUnavailable),
    "one-too-few": (lambda machine: machine.values.update(PrintKit={"repositories": "0"}),
                    "--all", errors.WireError),
    "one-too-many": (lambda machine: machine.values.update(PrintKit={"repositories": "2"}),
                     "work", errors.WireError),
    "a-path-elsewhere": (
        lambda machine: machine.values.update(PrintKit={"file": "../kit-2026-11-28"}), "work",
        errors.WireError),
}


@pytest.mark.parametrize(("bend", "asked", "error"), BENT.values(), ids=BENT)
def test_what_makes_no_kit_is_one_error_and_one_hint(
    escrowed: Honest, bend: Callable[[Honest], object], asked: str,
    error: type[errors.QvmBorgError], capsys: pytest.CaptureFixture[str],
) -> None:
    bend(escrowed)

    assert _run(escrowed, asked) == error.exit_code

    told = capsys.readouterr()
    assert "the kit of" not in told.out
    assert [line.split(":")[0] for line in told.err.splitlines()] == ["error", "hint"]
    vault = escrowed.app.domains.all.get("vault")
    assert vault is None or vault.state == "Halted"


@pytest.mark.parametrize("args", [(), ("work", "--all")])
def test_it_wants_some_qubes_or_all(escrowed: Honest, args: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        _run(escrowed, *args)

    assert escrowed.app.trace == []
