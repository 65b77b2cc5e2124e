"""A list of keys that is not ours to write: the lines are shown, and awaited by each qube."""

from dataclasses import replace

import pytest

from qvm_borg import errors, settings
from qvm_borg.tools import enroll as enroll_tool
from unit.dom0.honest import KEY, SETTINGS, Honest, run


def test_an_awaited_line_is_shown_and_stops_its_qube_only(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.values["PublishKeys"] = {"awaited": "qubes-work"}
    line = f'command="borg14 serve --append-only --restrict-to-repository repos/qubes-work",' \
           f"restrict {KEY} qubes-work"

    with pytest.raises(errors.WaitingForServer) as caught:
        run(ready)

    assert line in capsys.readouterr().out.splitlines()
    assert caught.value.exit_code == 15
    assert not [each for each in ready.app.trace if "InitRepository" in each]
    ready.qube("personal")
    with pytest.raises(errors.PartialFailure):
        run(ready, "work", "personal")
    assert "personal: enrolled as qubes-personal" in capsys.readouterr().out


def test_lines_are_shown_alone_and_nothing_is_recorded(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    features = dict(ready.app.domains.all["work"].features.own)

    assert enroll_tool.main(["work", "--show-authorized-keys"], app=ready.app) == 0

    assert capsys.readouterr().out == (
        'command="borg14 serve --append-only --restrict-to-repository repos/qubes-work",'
        f"restrict {KEY} qubes-work\n")
    assert ready.app.domains.all["work"].features.own == features
    assert [each for each in ready.app.trace if each.startswith("call")] == [
        "call borg-maintenance qborg.MakeKeys+qubes-work"]


def test_no_line_is_shown_before_the_set_up_is_done(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.store(replace(SETTINGS, remote_borg="probe"))

    assert enroll_tool.main(["work", "--show-authorized-keys"], app=ready.app) == 3

    assert capsys.readouterr().out == ""
