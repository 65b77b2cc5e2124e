"""The set-up and what the account really offers: shown, recorded, and changed on demand only."""

import pytest

from qvm_borg import errors, settings
from unit.dom0.honest import Honest
from unit.dom0.setting_up import CONFIRMED, run


def test_borgs_name_can_be_changed(
    machine: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    run(machine, *CONFIRMED)
    machine.values["CheckSetup"] = {"remote_borg": "borg12"}

    run(machine, "--remote-borg", "borg12")

    stored = settings.load()
    assert stored is not None and stored.remote_borg == "borg12"
    assert "set up; next:" in capsys.readouterr().out.splitlines()[-1]


def test_a_name_that_nobody_asked_for_is_not_taken(machine: Honest) -> None:
    run(machine, *CONFIRMED)
    machine.values["CheckSetup"] = {"remote_borg": "borg12"}

    with pytest.raises(errors.WireError, match="another borg"):
        run(machine)

    stored = settings.load()
    assert stored is not None and stored.remote_borg == "borg14"


@pytest.mark.parametrize("keys", ["ours", "awaited"])
def test_what_the_account_offers_is_said(
    machine: Honest, capsys: pytest.CaptureFixture[str], keys: str
) -> None:
    machine.values["CheckSetup"] = {
        "provider": "rsync.net", "access": "sftp", "keys": keys, "snapshots": "no"}

    run(machine, *CONFIRMED)

    said = capsys.readouterr().out
    assert f"the account: provider rsync.net, access sftp, keys {keys}, snapshots no" in said
    assert ("is not ours to write" in said) == (keys == "awaited")
