"""Two computers that publish to one account at the same moment: both blocks are there."""

import json
import re
import time
from typing import Any

import pytest

from lab import Lab
from scenarios import bent, rehearsal

MINE, OTHER = rehearsal.MAINTENANCE, "borg-laptop"
LAPTOP = "ffeeddccbbaa99887766554433221100"
TIMES = 50
_KEPT = "/home/user/.local/share/qubes-borg"
# The same admin at another computer: its own name and identity, nothing enrolled yet.
_BECOME = f"""
import json, os
path = "{_KEPT}/settings.json"
known = json.load(open(path)) | {{"machine": "laptop", "machine_id": "{LAPTOP}"}}
json.dump(known, open(path, "w"))
if os.path.exists("{_KEPT}/registry.json"):
    os.unlink("{_KEPT}/registry.json")
"""


@pytest.fixture(scope="module")
def former(world: Lab) -> bytes:
    """Two maintenance qubes on one account, each with one key; the file without their blocks."""
    world.faults.clear()
    world.restore("ready")
    bent.clones(world, MINE, OTHER)
    for qube in (MINE, OTHER):
        world.do("start", qube)
    world.exec(OTHER, ["python3", "-I", "-c", _BECOME], check=True)
    for qube, repository in ((MINE, "qubes-work"), (OTHER, "laptop-mail")):
        made = rehearsal.ends(rehearsal.starts(
            world, f"MakeKeys+{repository}", qube, quota="keep", directory="none"))
        assert "outcome=ok\n" in made, made
    return rehearsal.prepared(world)


def _both_publish(lab: Lab) -> list[str]:
    calls = [rehearsal.starts(lab, qube=qube) for qube in (MINE, OTHER)]
    return [rehearsal.ends(call) for call in calls]


def _has_both(lab: Lab, former: bytes) -> None:
    found = rehearsal.read(lab)
    assert sorted(rehearsal.BLOCK.findall(found)) == [b"laptop", b"qubes"]
    assert len(re.findall(rb" (laptop-mail|qubes-work)\n", found)) == 2
    assert rehearsal.BLOCK.sub(b"", found) == former


def test_fifty_times_at_the_same_moment_both_blocks_are_there_fifty_times(
    world: Lab, former: bytes
) -> None:
    overlapped = 0
    for _time in range(TIMES):
        rehearsal.resets(world, former)
        world.server.account.watch()

        replies = _both_publish(world)

        assert all("outcome=ok\n" in reply for reply in replies), replies
        _has_both(world, former)
        commands = world.server.account.commands()
        overlapped += commands.index("cat", 1) < commands.index("rm -d .ssh/qborg-lock")
    # The second logs in before the first has let the lock go: else nothing was rehearsed.
    assert overlapped > TIMES // 2
    rehearsal.admin_logs_in(world)
    assert not _locked(world)


def _locked(lab: Lab) -> bool:
    return bool(lab.server.exec(["ls", rehearsal.LOCK]).stdout)


def test_both_take_over_what_a_dead_computer_left_and_both_blocks_are_there(
    world: Lab, former: bytes
) -> None:
    rehearsal.resets(world, former)
    rehearsal.locks(world, 3600)

    replies = _both_publish(world)

    assert all("outcome=ok\n" in reply for reply in replies), replies
    _has_both(world, former)
    assert not _locked(world)


def test_a_publication_waits_for_another_computer_and_says_so(world: Lab, former: bytes) -> None:
    rehearsal.resets(world, former)
    entry = rehearsal.locks(world, 1)
    call = rehearsal.starts(world)

    assert call.stdout.readline() == b"progress=another-computer-works 0 0\n"
    assert rehearsal.read(world) == former
    world.server.exec(["rmdir", entry], user="zh1234", check=True)
    assert "outcome=ok\n" in rehearsal.ends(call)
    assert rehearsal.BLOCK.findall(rehearsal.read(world)) == [b"qubes"]


def test_the_other_computers_block_that_came_while_ours_slept_stays(
    world: Lab, former: bytes
) -> None:
    rehearsal.resets(world, former)
    with rehearsal.held(world, 14) as call:  # our last look at the lock
        entries = world.server.exec(["ls", rehearsal.LOCK], check=True).stdout.decode().split()
        stale = f"{int(time.time()) - 3600}-{entries[0][11:]}"
        script = f"cd {rehearsal.LOCK} && mv {entries[0]} {stale}"
        world.server.exec(["sh", "-c", script], check=True)
        rehearsal.publishes(world, OTHER)

    reply = rehearsal.ends(call)

    assert "detail=another computer took the lock over\n" in reply
    assert rehearsal.BLOCK.findall(rehearsal.read(world)) == [b"laptop"]
    rehearsal.publishes(world)
    _has_both(world, former)


def _settings(lab: Lab, qube: str) -> dict[str, Any]:
    stored = lab.exec(qube, ["cat", f"{_KEPT}/settings.json"], check=True).stdout
    known: dict[str, Any] = json.loads(stored)
    return known


def test_the_two_are_two_computers(world: Lab, former: bytes) -> None:
    mine, other = _settings(world, MINE), _settings(world, OTHER)

    assert {key for key in mine if mine[key] != other[key]} == {"machine", "machine_id"}
    assert former.count(b"qubes-borg-admin") == 1
