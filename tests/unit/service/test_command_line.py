"""Each command of a qube that parses its arguments answers a wrong one as dom0's commands do."""

import importlib

import pytest

from qborg_client.tools import install
from qborg_maintenance.tools import host_bundle
from static.roles import SETUP, VM_ROLES

# borgbak hands its arguments to borg as they are.
COMMANDS = {command.name: command.module for role in VM_ROLES
            for command in SETUP.ROLES[role].commands if command.name != "borgbak"}  # fmt: skip


@pytest.mark.parametrize("module", COMMANDS.values(), ids=COMMANDS)
def test_a_wrong_argument_is_one_error_and_one_hint(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).parser().parse_args(["--nonsense"])

    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert sum(line.startswith("error: ") for line in lines) == 1
    assert lines[-1].startswith("hint: `") and "--help` explains" in lines[-1]


def test_so_does_a_command_within_one(capsys: pytest.CaptureFixture[str]) -> None:
    admin = importlib.import_module(COMMANDS["qborg-admin"])
    with pytest.raises(SystemExit):
        admin.parser().parse_args(["login", "--nonsense"])

    assert "\nhint: `qborg-admin" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["laptop2.home", "laptop2.", "lap top", "dom0"])
def test_a_name_that_no_host_can_have_is_refused_at_once(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        host_bundle.main([name, "there"])

    assert ended.value.code == 2 and "\nerror: argument NAME: " in capsys.readouterr().err


def test_a_command_that_is_stopped_says_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_args: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(host_bundle, "_make", stopped)
    monkeypatch.setattr(install, "_install", stopped)

    assert host_bundle.main(["laptop2", "there"]) == install.main(["bundle.json"]) == 130
