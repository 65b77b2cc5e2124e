"""Enrolment asked for what dom0 alone can see to be wrong. Each row leaves everything as it was."""

import time

import pytest

from lab import Lab
from scenarios import bent, person, state
from scenarios.refusal import Refused, changes_nothing

ENROL = "qvm-borg-enroll"
# The exit codes of qvm_borg/errors.py, written out: 2 usage, 3 SettingsError, 4 LockedError,
# 5 QubeUnavailable, 11 PartialFailure, 13 EnrolmentRefused, 14 EscrowMissing, 22 TemplateError.
QUBES = {
    "no-such-qube": ("nobody", 5, "there is no qube named nobody"),
    "no-name": ("", 5, "there is no qube named"),
    "a-path": ("../work", 5, "there is no qube named ../work"),
    "escape-sequence": ("w\x1b[2Jork", 5, "there is no qube named w_[2Jork"),
    "dom0": ("dom0", 13, "it has no network"),
    "template": ("debian-13", 13, "is a template"),
    "disposable": ("disp1", 13, "is a disposable: it keeps no files"),
    "disposable-template": ("default-dvm", 13, "is a disposable template"),
    "maintenance": ("borg-maintenance", 13, "has a role of qubes-borg itself"),
    "vault": ("offline", 13, "has a role of qubes-borg itself"),
    "copy": ("work-copy", 13, "is a copy of an enrolled qube"),
    "no-netvm": ("unplugged", 13, "has no netvm"),
    "custom-persist": ("personal", 13, "keeps chosen paths only"),
    "template-without-services": ("plain", 22, "does not offer our services"),
    "upper-and-lower-case": ("Work", 13, "by upper and lower case only"),
}
USAGE = {
    "no-qube": Refused((), 2, "required: QUBE"),
    "only-an-option": Refused(("--no-escrow",), 2, "required: QUBE"),
    "unknown-option": Refused(("personal", "--no-escrow", "--all"), 2, "arguments: --all"),
    "shortened-option": Refused(("personal", "--no-escrow", "--dry"), 2, "arguments: --dry"),
}


@pytest.fixture(scope="module")
def before(world: Lab) -> state.State:
    """The whole state of a machine on which everything that may be named by mistake exists."""
    world.faults.clear()
    world.restore("enrolled")
    bent.clones(world, "work", "work-copy")
    world.do("start", "work")
    world.do("start", "work-copy")
    bent.in_dom0(world, (
        "here = app.domains\n"
        "here['dom0'].features['x-qborg-vault'] = str(here['offline'].uuid)\n"
        "here['personal'].features['service.custom-persist'] = '1'\n"
        "app.add_new_vm('AppVM', 'unplugged', 'red', 'debian-13').netvm = None"
    ))
    return state.everything(world)


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["for-real", "dry"])
@pytest.mark.parametrize(("name", "code", "says"), QUBES.values(), ids=QUBES)
def test_a_qube_that_cannot_be_enrolled(
    world: Lab, before: state.State, name: str, code: int, says: str, dry: tuple[str, ...]
) -> None:
    row = Refused((name, "--no-escrow", *dry), code, says)

    changes_nothing(world, ENROL, row, before)


@pytest.mark.parametrize("row", USAGE.values(), ids=USAGE)
def test_wrong_words(world: Lab, before: state.State, row: Refused) -> None:
    changes_nothing(world, ENROL, row, before)


def test_of_several_each_is_told_and_nothing_is_changed(world: Lab, before: state.State) -> None:
    said = person.runs(world, ENROL, "nobody", "dom0", "plain", "--no-escrow", code=11)

    for line in ("error: there is no qube named nobody",
                 "error: dom0: is dom0: it has no network and no place here",
                 "error: 3 of 3 qubes were not enrolled: nobody dom0 plain"):
        assert line in said.splitlines()
    assert state.changes(before, state.everything(world)) == []


def test_a_second_command_is_refused_while_one_runs(world: Lab, before: state.State) -> None:
    world.faults.add(where="qrexec", match="qborg.CheckSetup+*", action="delay:60")
    with world.popen("dom0", [ENROL, "work", "--no-escrow"], input=False):
        deadline = time.monotonic() + 300
        while not any(call["name"] == "qborg.CheckSetup+" for call in world.trace()):
            assert time.monotonic() < deadline
            time.sleep(0.2)

        for command in (ENROL, "qvm-borg-setup", "qvm-borg-backup"):
            words = {ENROL: ("work", "--no-escrow"), "qvm-borg-backup": ("work",)}.get(command, ())
            row = Refused(words, 4, "another qvm-borg command is running")
            changes_nothing(world, command, row, before)
    world.faults.clear()
