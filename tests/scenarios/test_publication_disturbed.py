"""People, broken files and an old maintenance qube around a publication: nobody is locked out.

What a person wrote is never lost, and whoever cannot publish says so and changes nothing.
"""

from collections.abc import Callable

import pytest

from lab import Lab
from scenarios import bent, rehearsal
from scenarios.person import HOME, KEYS
from scenarios.test_publication_cut import PROOF, SWAP

LINE = b"%s added-just-now\n" % rehearsal.OTHER
REFUSED = f"{HOME}/{KEYS}.qborg-refused"
_COPY = 13  # the number of the command that keeps the former file


@pytest.fixture(scope="module")
def former(world: Lab) -> bytes:
    """A lab that has published once; answers the file without our block."""
    world.faults.clear()
    world.restore("ready")
    return rehearsal.prepared(world)


def _converges(lab: Lab, former: bytes) -> None:
    rehearsal.admin_logs_in(lab)
    rehearsal.publishes(lab)
    found = rehearsal.read(lab)
    assert rehearsal.BLOCK.sub(b"", found) == former
    assert rehearsal.BLOCK.findall(found) == [b"qubes"]
    rehearsal.admin_logs_in(lab)


def _refused(reply: str, *says: str) -> None:
    assert "outcome=ok\n" not in reply and any(words in reply for words in says), reply


EDITED = [(number, "before") for number in range(_COPY, PROOF + 1)] + [(SWAP, "after")]


@pytest.mark.parametrize(("number", "when"), EDITED)
def test_a_line_that_a_person_adds_meanwhile_is_noticed_and_kept(
    world: Lab, former: bytes, number: int, when: str
) -> None:
    rehearsal.resets(world, former)
    with rehearsal.held(world, number, when) as call:
        rehearsal.add_line(world, LINE)

    reply = rehearsal.ends(call)

    _refused(reply, "someone else changed authorized_keys")
    assert ("outcome=list-changed\n" in reply) == (number == PROOF or when == "after")
    assert rehearsal.read(world).count(LINE) == 1
    found = rehearsal.BLOCK.sub(b"", rehearsal.read(world))
    assert found == former + LINE
    _converges(world, former + LINE)


def _replaces(lab: Lab, script: str) -> None:
    """Change the file as `sed -i` and many an editor do: a new file takes its name."""
    lab.server.exec(["sed", "-i", script, f"{HOME}/{KEYS}"], user="zh1234", check=True)


@pytest.mark.parametrize("number", [_COPY, _COPY + 2, SWAP - 1, PROOF])
def test_a_person_who_replaces_the_file_meanwhile_is_noticed(
    world: Lab, former: bytes, number: int
) -> None:
    rehearsal.resets(world, former)
    with rehearsal.held(world, number) as call:
        _replaces(world, "s/^# mine/# edited/")

    _refused(rehearsal.ends(call), "someone else changed authorized_keys")

    edited = former.replace(b"# mine", b"# edited")
    assert rehearsal.BLOCK.sub(b"", rehearsal.read(world)) == edited != former
    _converges(world, edited)


@pytest.mark.parametrize(("number", "when"), [(SWAP, "after"), (PROOF, "before")])
def test_a_file_that_breaks_the_admin_key_is_rolled_back_and_kept_beside(
    world: Lab, former: bytes, number: int, when: str
) -> None:
    rehearsal.resets(world, former)
    with rehearsal.held(world, number, when) as call:
        _replaces(world, "s/^ssh-ed25519 .* qubes-borg-admin/garbage/")
        broken = rehearsal.read(world)

    reply = rehearsal.ends(call)

    _refused(reply, "rolled back: ")
    assert "not accept the admin key" in reply
    assert rehearsal.read(world) == former
    assert world.server.exec(["cat", REFUSED], check=True).stdout == broken != former
    _converges(world, former)


WRITTEN = {
    "before-the-swap": ("before", KEYS, False),
    "into-the-former-file": ("after", f"{KEYS}.qborg-bak", False),
    "and-the-service-killed": ("after", f"{KEYS}.qborg-bak", True),
}


@pytest.mark.parametrize(("when", "name", "killed"), WRITTEN.values(), ids=WRITTEN)
def test_an_editor_that_breaks_the_file_in_place_as_it_is_swapped_locks_nobody_out(
    world: Lab, former: bytes, when: str, name: str, killed: bool
) -> None:
    rehearsal.resets(world, former)
    broken = b"".join(
        line for line in former.splitlines(True) if b"qubes-borg-admin" not in line)
    with rehearsal.held(world, SWAP, when) as call:
        rehearsal.write(world, broken, name)
        if killed:
            rehearsal.kill_service(world)

    reply = rehearsal.ends(call)
    rehearsal.settles(world)

    if not killed:
        _refused(reply, "rolled back: someone else changed authorized_keys")
    assert rehearsal.read(world) == former != broken
    assert world.server.exec(["cat", REFUSED], check=True).stdout == broken
    _converges(world, former)


def test_a_broken_file_and_no_sshd_to_ask_is_the_former_file_again(
    world: Lab, former: bytes
) -> None:
    rehearsal.resets(world, former)
    with rehearsal.held(world, PROOF) as call:
        _replaces(world, "s/^ssh-ed25519 .* qubes-borg-admin/garbage/")
        broken = rehearsal.read(world)
        world.server.stop_sshd()

    _refused(rehearsal.ends(call), "rolled back: ")

    assert rehearsal.read(world) == former
    assert world.server.exec(["cat", REFUSED], check=True).stdout == broken != former
    world.server.start_sshd()
    _converges(world, former)


# What stands in the file before we come: the admin's line as a slip, or a tool, has left it.
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "options-before-it": lambda line: b'from="*" ' + line,
    "an-open-quote": lambda line: b'command="borg14 ' + line,
    "a-forced-command-first": lambda line: b'command="borg14 serve",restrict ' + line + line,
    "commented-out": lambda line: b"# " + line,
    "cut": lambda line: line[:40] + b"\n",
    "glued-to-another": lambda line: b"# a comment without an end" + line,
    "as-a-cert-authority": lambda line: b"cert-authority " + line,
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_file_without_a_good_admin_line_is_left_as_it_is(
    world: Lab, former: bytes, broken: Callable[[bytes], bytes]
) -> None:
    rehearsal.resets(world, former)
    line = next(each for each in former.splitlines(True) if b"qubes-borg-admin" in each)
    content = former.replace(line, broken(line))
    rehearsal.write(world, content)

    reply = rehearsal.ends(rehearsal.starts(world))

    _refused(reply, "outcome=login-refused\n", "outcome=publish-refused\n",
             "outcome=connection-failed\n", "outcome=server-unreachable\n")  # fmt: skip
    assert rehearsal.read(world) == content
    rehearsal.write(world, former)
    _converges(world, former)


MODES = {
    "file-for-all": f"chmod 666 {HOME}/{KEYS}",
    "home-for-all": f"chmod 777 {HOME}",
}
MENDED = f"chmod 600 {HOME}/{KEYS}; chmod 755 {HOME}"


@pytest.mark.parametrize("script", MODES.values(), ids=MODES)
def test_modes_that_sshd_refuses_are_told_and_nothing_is_written(
    world: Lab, former: bytes, script: str
) -> None:
    rehearsal.resets(world, former)
    world.server.exec(["/bin/sh", "-c", script], check=True)

    _refused(rehearsal.ends(rehearsal.starts(world)), "outcome=login-refused\n")

    assert rehearsal.read(world) == former
    world.server.exec(["/bin/sh", "-c", MENDED], check=True)
    _converges(world, former)


@pytest.mark.parametrize("script", MODES.values(), ids=MODES)
def test_modes_that_go_wrong_before_the_proof_roll_back_over_the_living_session(
    world: Lab, former: bytes, script: str
) -> None:
    rehearsal.resets(world, former)
    with rehearsal.held(world, SWAP, "after") as call:
        world.server.exec(["/bin/sh", "-c", script], check=True)

    _refused(rehearsal.ends(call), "rolled back: the server does not accept the admin key")

    assert rehearsal.read(world) == former
    world.server.exec(["/bin/sh", "-c", MENDED], check=True)
    _converges(world, former)


def test_without_a_listening_sshd_the_living_session_rolls_back(
    world: Lab, former: bytes
) -> None:
    rehearsal.resets(world, former)
    with rehearsal.held(world, SWAP, "after") as call:
        world.server.stop_sshd()

    _refused(rehearsal.ends(call), "rolled back: no connection to the server")

    assert rehearsal.read(world) == former
    world.server.start_sshd()
    _converges(world, former)


def test_packets_that_vanish_at_the_proof_roll_back_when_they_come_again(
    world: Lab, former: bytes
) -> None:
    rehearsal.resets(world, former)
    with rehearsal.held(world, SWAP, "after") as call:
        world.do("net-cut", rehearsal.MAINTENANCE)
        rehearsal.kill_service(world)
    world.do("net-restore", rehearsal.MAINTENANCE)
    rehearsal.ends(call)
    rehearsal.settles(world)

    assert rehearsal.read(world) == former
    _converges(world, former)


def test_a_maintenance_qube_of_an_older_copy_refuses_to_publish(
    world: Lab, former: bytes
) -> None:
    rehearsal.resets(world, former)
    saved = bent.saved_maintenance(world)
    rehearsal.publishes(world)
    rehearsal.makes_keys(world, "qubes-personal")
    rehearsal.publishes(world)
    newest, kept = rehearsal.read(world), bent.saved_maintenance(world)
    bent.brings_maintenance_back(world, saved)

    for _time in range(2):
        _refused(rehearsal.ends(rehearsal.starts(world)), "outcome=registry-stale\n")
        assert rehearsal.read(world) == newest
        rehearsal.admin_logs_in(world)

    bent.brings_maintenance_back(world, kept)
    _converges(world, former)
