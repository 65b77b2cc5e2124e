"""How qvm-borg-status tells it: as JSON, quietly, in a table or narrow, in colours."""

import io
import json
import sys
from dataclasses import replace

import pytest

from qborg_wire.names import Repository
from qvm_borg import errors, record
from unit.dom0.honest import Honest
from unit.dom0.looking import DAY, GOOD, HOUR, NOW, has, look


def test_a_program_reads_json(running: Honest, capsys: pytest.CaptureFixture[str]) -> None:
    running.qube("new")
    assert look(running, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["troubles"], found["unenrolled"], found["qubes"]) == ([], ["new"], [{
        "qube": "work", "repository": "qubes-work", "escrow": record.ESCROWED, "outcome": "ok",
        "numbers": {"backup": NOW - DAY, "claim": NOW - HOUR, "server": NOW - HOUR, "size": 3984,
                    "grown": 1718, "proved": NOW - DAY},
        "troubles": [],
    }])  # fmt: skip
    assert len(found) == 3


def test_nothing_enrolled_is_said_and_is_json(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(ready, calls=0) == 0 and "no qube is enrolled" in capsys.readouterr().out
    assert look(ready, "--json") == 0 and json.loads(capsys.readouterr().out)["qubes"] == []


def test_qubes_that_are_not_enrolled_are_counted_and_named_on_demand(
    halted: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    halted.vault()
    for name in ("new", "older", "left-out", "sys-firewall"):
        halted.qube(name, "Halted")
    halted.app.domains.all["left-out"].features.own["x-qborg-ignore"] = "1"
    halted.app.domains.all["sys-firewall"].provides_network = True

    assert look(halted) == 0
    told = capsys.readouterr().out
    assert "not enrolled: 2 (" in told and "older" not in told
    assert look(halted, "-v") == 0 and "      new older\n" in capsys.readouterr().out
    assert look(halted, "work") == 0 and "not enrolled" not in capsys.readouterr().out


def test_quiet_tells_only_of_those_that_need_somebody(
    halted: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    halted.qube("personal", "Halted")
    assert look(halted, "--quiet") == 0 and capsys.readouterr().out == ""

    has(halted, replace(GOOD, repository=Repository("qubes", "personal"), step="deliver"),
         "personal")
    assert look(halted, "--quiet") == errors.InTrouble.exit_code
    told = capsys.readouterr().out
    assert "personal" in told and "work" not in told and "not asked" not in told


# A terminal's width, and whether it is a table.
WIDTHS = {"wide": ("120", True), "as-wide-as-it": ("108", True), "too-narrow": ("107", False),
          "narrow": ("60", False), "very-narrow": ("20", False)}


@pytest.mark.parametrize(("width", "fits"), WIDTHS.values(), ids=WIDTHS)
def test_a_narrow_terminal_gets_a_few_lines_for_each_qube(
    running: Honest, width: str, fits: bool, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    has(running, replace(GOOD, step="deliver"))

    look(running)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("qube " if fits else "work")
    assert fits or lines[1].startswith("  dom0 saw    20")
    assert fits or lines[7] == "  escrow      in the vault"
    assert all(len(line.rstrip()) <= max(int(width), 30) for line in lines)


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


# NO_COLOR, whether there is a terminal, and whether there are colours.
COLOURS = {"terminal": ("", True, True), "no-color": ("1", True, False), "pipe": ("", False, False)}


@pytest.mark.parametrize(("wish", "terminal", "coloured"), COLOURS.values(), ids=COLOURS)
def test_colours_are_for_a_terminal_whose_person_wants_them(
    halted: Honest, wish: str, terminal: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("NO_COLOR", wish)
    halted.qube("personal", "Halted")
    has(halted, replace(GOOD, repository=Repository("qubes", "personal")), "personal")
    has(halted, replace(GOOD, step="deliver", notes={"escrow": record.NO_ESCROW}))

    look(halted)

    lines = out.getvalue().splitlines()
    begins = [line[:5] for line in lines if line.startswith("\x1b")]
    # work; its step; its hint; without a vault, by choice; personal
    assert begins == (["\x1b[31m", "\x1b[31m", "\x1b[33m", "\x1b[32m"] if coloured else [])
    assert all(line.endswith("\x1b[0m") for line in lines if "\x1b" in line)
