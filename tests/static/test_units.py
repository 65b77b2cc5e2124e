"""The units for dom0: each timer has its service, each service runs a command as it can be run."""

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from qvm_borg.tools.command_line import Parser
from static import tree
from static.test_install import SETUP, UNITS, install

SERVICES = tuple(name for name in UNITS if name.endswith(".service"))


def unit(name: str) -> configparser.ConfigParser:
    """Answer what a unit says."""
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string(tree.text(f"dom0/systemd/{name}"))
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_a_command_of_dom0_and_its_timer_is_enabled_by_itself(name: str) -> None:
    program, *arguments = unit(name)["Service"]["ExecStart"].split()
    command = program.removeprefix("/usr/bin/")

    assert command in [each.name for each in SETUP.ROLES["dom0"].commands]
    Parser(command.removeprefix("qvm-borg-")).parse_args(arguments)
    assert unit(name)["Service"]["Type"] == "oneshot" and "Install" not in unit(name)
    timer = unit(name.replace(".service", ".timer"))
    assert timer["Install"]["WantedBy"] == "timers.target" and "OnCalendar" in timer["Timer"]


def test_systemd_itself_takes_them(tmp_path: Path) -> None:
    install(tmp_path, "dom0")
    units = sorted((tmp_path / "usr/lib/systemd/user").iterdir())
    for path in units:  # it looks whether the programs are there
        text = path.read_text(encoding="ascii")
        ours = text.replace("=/usr/bin/qvm-", f"={tmp_path}/usr/bin/qvm-")
        path.write_text(ours, encoding="ascii")

    assert [path.name for path in units] == sorted(UNITS)
    if (program := shutil.which("systemd-analyze")) is not None:
        done = subprocess.run(
            [program, "verify", "--user", "--man=no", *units], capture_output=True, text=True,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)})
        assert (done.returncode, done.stderr) == (0, "")
