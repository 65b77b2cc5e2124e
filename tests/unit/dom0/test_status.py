"""qvm-borg-status: what dom0 has seen, trouble first, and a code for whoever watches."""

import json
from dataclasses import replace
from uuid import UUID

import pytest

from qborg_wire.names import Repository
from qvm_borg import errors, lock, record
from qvm_borg.record import Record
from qvm_borg.tools import status
from unit.dom0.honest import Honest

NOON = 1769860800
GOOD = Record(
    UUID(int=0), Repository("qubes", "work"), "forget",
    times={"backup": str(NOON), "proved": str(NOON)}, notes={"escrow": record.ESCROWED},
)  # fmt: skip


def _has(machine: Honest, found: Record, name: str = "work", own: bool = True) -> None:
    vm = machine.app.domains.all[name]
    vm.features.own["x-qborg"] = record.render(replace(found, uuid=vm.uuid) if own else found)


def _run(machine: Honest, *args: str) -> int:
    code: int = status.main(list(args), app=machine.app)
    assert machine.app.trace == []  # it only looks
    return code


def test_all_is_well_in_one_line_for_each_qube(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    _has(ready, GOOD)

    assert _run(ready) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].split()[0] == "qube"
    assert lines[1].startswith("work  qubes-work  2026-01-31 ") and "in the vault" in lines[1]


# What is bent, and what a person must read about it.
TROUBLES = {
    "imported": (replace(GOOD, notes={**GOOD.notes, "secrets": record.IMPORTED}),
                 "count as leaked until they are rotated"),
    "stopped-half-way": (replace(GOOD, step="deliver"), "ended after the step deliver"),
    "not-forgotten": (replace(GOOD, step="prove"), "ended after the step prove"),
    "never-proved": (replace(GOOD, times={"backup": str(NOON)}), "never proved"),
    "renamed": (replace(GOOD, repository=Repository("qubes", "job")), "enrolled as job"),
}  # fmt: skip


@pytest.mark.parametrize(("found", "says"), TROUBLES.values(), ids=TROUBLES)
def test_a_trouble_is_told_with_what_to_do(
    ready: Honest, found: Record, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.qube("personal")
    personal = replace(GOOD, repository=Repository("qubes", "personal"))
    _has(ready, personal, "personal")
    _has(ready, found)

    assert _run(ready) == errors.InTrouble.exit_code

    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[1].startswith("work ") and lines[-1].startswith("personal ")
    assert lines[2].startswith("    ! ") and says in lines[2] and lines[3].startswith("      ")
    assert told.err.startswith("error: 1 of 2 qubes need you: work\n")


def test_a_copy_is_told_as_one(ready: Honest, capsys: pytest.CaptureFixture[str]) -> None:
    _has(ready, GOOD, own=False)

    assert _run(ready, "work") == errors.InTrouble.exit_code
    told = capsys.readouterr().out
    assert "a copy of the enrolled work" in told and told.count("    ! ") == 1


def test_without_a_vault_there_is_a_warning_for_ever_and_no_alarm(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    _has(ready, replace(GOOD, step="prove", notes={"escrow": record.NO_ESCROW}))

    assert _run(ready) == 0
    told = capsys.readouterr().out
    assert "none, by choice" in told and "    ! no vault has what opens its repository" in told


def test_a_program_reads_json(ready: Honest, capsys: pytest.CaptureFixture[str]) -> None:
    _has(ready, GOOD)

    assert _run(ready, "--json") == 0
    assert json.loads(capsys.readouterr().out) == [{
        "qube": "work", "repository": "qubes-work", "backup": NOON, "proved": NOON,
        "escrow": record.ESCROWED, "troubles": [],
    }]  # fmt: skip


def test_nothing_enrolled_is_said_and_is_json(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(ready) == 0 and "no qube is enrolled" in capsys.readouterr().out
    assert _run(ready, "--json") == 0 and json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(("name", "code"), [
    ("nobody", errors.QubeUnavailable.exit_code), ("work", errors.NotEnrolled.exit_code),
])
def test_a_name_without_a_record_is_an_error(ready: Honest, name: str, code: int) -> None:
    assert _run(ready, name) == code


@pytest.mark.parametrize("bad", ["{}", "x" * 5000, '{"uuid": 1}', "[]"])
def test_a_damaged_record_is_none(ready: Honest, bad: str) -> None:
    ready.app.domains.all["work"].features.own["x-qborg"] = bad

    assert _run(ready, "work") == errors.NotEnrolled.exit_code


@pytest.mark.parametrize("seconds", [10**14, 10**15 - 1])
def test_a_moment_beyond_every_calendar_is_shown_as_unknown(
    ready: Honest, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    _has(ready, replace(GOOD, times={"backup": str(seconds), "proved": "1"}))

    assert _run(ready) == 0
    assert " ? " in capsys.readouterr().out


def test_it_waits_for_no_other_command(ready: Honest) -> None:
    _has(ready, GOOD)

    with lock.held():
        assert _run(ready) == 0
