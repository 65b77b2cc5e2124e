"""A publication that is cut at every command between the read and the proof locks nobody out.

The moments are those of a clean run's commands at the server, so a command that is added is in
the table without anybody remembering.
"""

from collections.abc import Callable

import pytest

from lab import Lab
from lab.running import RunningProcess
from scenarios import rehearsal

# What a publication runs in the account, in this order; an entry of the lock is ENTRY.
COMMANDS = (
    "cat",
    "ls .ssh/qborg-lock",
    "mkdir .ssh/qborg-lock",
    "mkdir .ssh/qborg-lock/ENTRY",
    "ls .ssh/qborg-lock",
    "cat .ssh/authorized_keys",
    "ls -d repos",
    *rehearsal.SWAP_COMMANDS,
)
READ, SWAP, PROOF = 6, 17, 18  # numbers of commands
MOMENTS = [(number, "before") for number in range(READ, PROOF + 1)]
MOMENTS += [(SWAP, "after"), (PROOF, "after")]


def _cut(lab: Lab, _call: RunningProcess) -> None:
    lab.server.drop_sessions()


def _kill_tool(_lab: Lab, call: RunningProcess) -> None:
    call.kill()


def _kill_service(lab: Lab, _call: RunningProcess) -> None:
    rehearsal.kill_service(lab)


def _kill_qube(lab: Lab, _call: RunningProcess) -> None:
    lab.do("kill", rehearsal.MAINTENANCE)


def _kill_sshd(lab: Lab, _call: RunningProcess) -> None:
    lab.server.stop_sshd()
    lab.server.drop_sessions()


ACTS = {"connection": _cut, "tool": _kill_tool, "service": _kill_service,
        "maintenance-qube": _kill_qube, "sshd": _kill_sshd}  # fmt: skip
ROWS = [
    pytest.param(number, when, act, id=f"{when}-{number}-{name}")
    for number, when in MOMENTS
    for name, act in ACTS.items()
]


@pytest.fixture(scope="module")
def former(world: Lab) -> bytes:
    """A lab that has published once; answers the file without our block."""
    world.faults.clear()
    world.restore("ready")
    return rehearsal.prepared(world)


def test_the_table_has_every_moment_between_the_read_and_the_proof(
    world: Lab, former: bytes
) -> None:
    rehearsal.resets(world, former)
    world.server.account.watch()

    rehearsal.publishes(world)

    assert rehearsal.commands(world) == list(COMMANDS)
    assert len(ROWS) == len(ACTS) * (PROOF - READ + 1 + 2) == 75


@pytest.mark.parametrize(("number", "when", "act"), ROWS)
def test_the_admin_logs_in_and_one_more_run_converges(
    world: Lab, former: bytes, number: int, when: str, act: Callable[[Lab, RunningProcess], None]
) -> None:
    rehearsal.resets(world, former)

    with rehearsal.held(world, number, when) as call:
        act(world, call)
    if act is _kill_sshd:
        world.server.start_sshd()
    reply = rehearsal.ends(call)
    if act is _kill_qube:
        world.do("start", rehearsal.MAINTENANCE)
    rehearsal.settles(world)

    found = rehearsal.read(world)
    assert rehearsal.BLOCK.sub(b"", found) == former
    if "outcome=ok\n" in reply or "rolled back" in reply:
        assert (found == former) is ("rolled back" in reply)
    rehearsal.admin_logs_in(world)
    rehearsal.publishes(world)
    assert len(rehearsal.BLOCK.findall(rehearsal.read(world))) == 1
    assert rehearsal.BLOCK.sub(b"", rehearsal.read(world)) == former
    assert rehearsal.left_at_the_server(world) == {
        "authorized_keys", "authorized_keys.qborg-bak"}  # fmt: skip
