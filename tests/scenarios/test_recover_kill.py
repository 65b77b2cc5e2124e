"""kill -9 amid a recovery, by a record older than the block; one more run goes on."""

import pytest

from lab import Lab
from scenarios import lost, person, state
from scenarios.lost import KEEPER, RECOVER, VAULT

ACCOUNT = f"qubes-{KEEPER}"
QUBE, ROLE = "admin.vm.Create.AppVM+debian-13", "admin.vm.feature.Set+x-qborg-maintenance"
SERVICES = ("qborg.DescribeAccount+", "qborg.ExpectAccount+", f"qborg.ReleaseRecord+{ACCOUNT}",
            f"qborg.AcceptAccount+{ACCOUNT}", "qborg.CheckSetup+", f"qborg.SendRecord+{ACCOUNT}")
KILLS = [
    *(("qubesd", call, "kill-tool", when) for call in (QUBE, ROLE) for when in ("before", "after")),
    *(("qrexec", call, victim, "after") for call in SERVICES
      for victim in ("kill-tool", "kill-service", f"kill-qube:{KEEPER}")),
    *(("qrexec", call, victim, "before") for call in SERVICES[2:4]
      for victim in ("kill-tool", f"kill-qube:{KEEPER}", f"kill-qube:{VAULT}")),
]  # fmt: skip


@pytest.fixture(scope="module")
def lost_world(escrowed_once: Lab) -> Lab:
    """The maintenance qube is gone, and the vault's record is of before work was enrolled."""
    lost.loses_the_newest_record(escrowed_once)
    lost.removes(escrowed_once)
    escrowed_once.snapshot("lost")
    return escrowed_once


@pytest.mark.kill
@pytest.mark.parametrize(("where", "call", "victim", "when"), KILLS)
def test_after_any_kill_one_more_run_goes_on(
    lost_world: Lab, where: str, call: str, victim: str, when: str
) -> None:
    lost_world.restore("lost")
    keys = lost.keys(lost_world)
    lost_world.faults.clear()
    lost_world.faults.add(where=where, match=call, action=victim, when=when, n=0)
    lost_world.run(list(RECOVER))
    assert any(entry["hit"] for entry in lost_world.trace())
    lost_world.faults.clear()

    person.runs(lost_world, *RECOVER)

    assert state.gates(lost_world) == []
    said = person.runs(lost_world, "qvm-borg-enroll", "work")
    assert "was enrolled already; nothing was changed" in said
    assert lost.keys(lost_world) == keys
