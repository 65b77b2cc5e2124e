"""The suite for a real Qubes, in the lab: it goes through, cleans up, and touches nothing else."""

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from lab.running import RunningProcess
from scenarios import bent, person, state

HERE = Path(__file__).parent
SUITE = HERE.parent / "on_qubes"
RUN = ("python3", "/home/user/on_qubes")
STEPS = len(re.findall(r"(?m)^    \(\"", (SUITE / "story.py").read_text(encoding="ascii")))
# Each qube of a real Qubes has a shell that dom0 may call; the usual world of the tests has none.
_SHELL = '''
           "printf '#!/bin/sh\\\\nexec /bin/bash\\\\n' > $ROOT/etc/qubes-rpc/qubes.VMShell",
           "chmod 755 $ROOT/etc/qubes-rpc/qubes.VMShell",'''


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A machine with nothing but our packages, and the suite copied into dom0."""
    text = (HERE / "world.toml").read_text(encoding="ascii")
    world = tmp_path_factory.mktemp("world") / "world.toml"
    world.write_text(text.replace("[templates.debian-13]\ninstall = [",
                                  f"[templates.debian-13]\ninstall = [{_SHELL}"), encoding="ascii")
    with Lab.up(world) as lab:
        lab.exec("dom0", ["tar", "-x", "-C", "/home/user"], input=_packed(), check=True)
        lab.do("start", "sys-firewall")
        lab.snapshot("copied")
        yield lab


@pytest.fixture
def copied(machine: Lab) -> Lab:
    """That machine as it was."""
    machine.faults.clear()
    machine.restore("copied")
    return machine


def _packed() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(SUITE.glob("*.py")):
            archive.add(path, f"on_qubes/{path.name}")
    return packed.getvalue()


def _begins(lab: Lab, *options: str) -> RunningProcess:
    return lab.popen("dom0", ["sh", "-c", 'exec 2>&1 "$@"', "-", *RUN, "--server", person.SERVER,
                              "--fingerprint", person.fingerprint(lab), *options], input=False)


def _follows(lab: Lab, suite: RunningProcess, until: str = "\0") -> str:
    """Do what a person does beside it, and answer what it says to its end, or to a word."""
    said = ""
    for raw in suite.stdout:
        said += raw.decode()
        if "qubes-borg-admin" in said and "[ 3/" not in said and raw.startswith(b"ssh-ed25519"):
            person.adds_the_line(lab, said)
        if until in said:
            break
    return said


def _is_clean(lab: Lab, before: state.State) -> None:
    after = state.qubesd(lab)
    for about in (before, after):
        about["sys-firewall"].pop("power")
    assert state.changes(before, after) == []
    assert lab.exec("dom0", ["find", "/home/user/.config/qubes-borg", "-type", "f"]).stdout == b""
    assert state.gates(lab) == []


def test_it_goes_the_whole_way_and_leaves_no_qube(copied: Lab) -> None:
    """With a Salt that has nothing to do, as the template has our packages; another is not here."""
    bent.salt_ends(copied, 0)
    before = state.qubesd(copied)
    with _begins(copied, "--salt") as suite:
        said = _follows(copied, suite)
        assert suite.wait(60) == 0, said

    assert f"all {STEPS} steps are as they should be" in said and STEPS > 12
    assert "--targets=debian-13\n" in bent.salt_was_asked(copied)
    _is_clean(copied, before)


def test_a_step_that_fails_is_told_and_all_is_removed(copied: Lab) -> None:
    before = state.qubesd(copied)
    with _begins(copied) as suite:
        said = _follows(copied, suite, "[ 5/")
        copied.server.stop_sshd()
        said += _follows(copied, suite)
        assert suite.wait(60) == 1, said

    assert "error: `qvm-borg-enroll qborg-test-work` ended with" in said
    _is_clean(copied, before)


def test_what_a_killed_run_has_left_is_removed_by_another(copied: Lab) -> None:
    before = state.qubesd(copied)
    with _begins(copied) as suite:
        _follows(copied, suite, "[ 3/")
        copied.exec("dom0", ["pkill", "-KILL", "-f", "on_qubes"], user="root")
        suite.wait(60)
    again = (*RUN, "--server", person.SERVER, "--fingerprint", person.fingerprint(copied))
    assert "an earlier run has left something" in person.runs(copied, *again, code=3)

    assert "are removed" in person.runs(copied, *RUN, "--clean")

    _is_clean(copied, before)
    assert "nothing to remove" in person.runs(copied, *RUN, "--clean")


NOTE = "/home/user/.local/state/qubes-borg-on-qubes.json"
# A note that is older than the qube, that somebody else wrote, or that was cut.
NOTES = {
    "of-another-uuid": '{"qborg-test-work": "00000000-0000-4000-8000-000000000000"}',
    "of-somebody's": '{"personal": "00000000-0000-4000-8000-000000000000", "work": ""}',
    "cut": "",
}


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_a_qube_that_is_not_this_suites_own_stays(copied: Lab, note: str) -> None:
    copied.clone("personal", "qborg-test-work")
    before = state.qubesd(copied)
    script = f"mkdir -p {NOTE.rpartition('/')[0]} && cat > {NOTE}"
    copied.exec("dom0", ["sh", "-c", script], input=note.encode(), check=True)

    person.runs(copied, *RUN, "--clean")

    _is_clean(copied, before)


def test_what_cannot_be_removed_is_said_and_is_no_success(copied: Lab) -> None:
    before = state.qubesd(copied)
    run = (*RUN, "--server", person.SERVER, "--fingerprint", "SHA256:x")
    copied.faults.add(where="qubesd", match="admin.vm.Remove+", n=0, action="error")

    said = person.runs(copied, *run, code=1)
    assert "could not be removed, run it with --clean again:\n  qborg-test-work" in said
    person.runs(copied, *RUN, "--clean", code=1)
    copied.faults.clear()
    person.runs(copied, *RUN, "--clean")

    _is_clean(copied, before)


WRONG = {
    "no-server": ((), 2, "--server and --fingerprint are needed"),
    "a-qube-of-that-name": (("--netvm", "sys-firewall"), 3, "there is a qube named qborg-test"),
    "no-such-netvm": (("--netvm", "nobody"), 3, "the qubes cannot be made"),
    "salt-unseen": (("--salt",), 3, "debian-13 runs, and no qube would see"),
}


@pytest.mark.parametrize(("options", "code", "says"), WRONG.values(), ids=WRONG)
def test_it_begins_nothing_where_it_cannot(
    copied: Lab, options: tuple[str, ...], code: int, says: str
) -> None:
    if "named" in says:
        copied.clone("personal", "qborg-test-work")
    if "runs" in says:
        copied.do("start", "debian-13")
    before = state.qubesd(copied)
    server = ("--server", person.SERVER, "--fingerprint", "SHA256:x", *options) if options else ()

    assert says in person.runs(copied, *RUN, *server, code=code)

    _is_clean(copied, before)


def test_a_machine_that_is_set_up_is_not_touched(copied: Lab) -> None:
    person.sets_up(copied)
    before, files = state.qubesd(copied), state.files(copied, "dom0", "/home/user/.config")

    said = person.runs(copied, *RUN, "--server", person.SERVER, "--fingerprint", "SHA256:x", code=3)

    assert "must not touch your backups" in said
    assert state.changes(before, state.qubesd(copied)) == []
    assert state.files(copied, "dom0", "/home/user/.config") == files
