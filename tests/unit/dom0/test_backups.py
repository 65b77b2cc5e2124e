"""qvm-borg-backup over several qubes: whose turn it is, who has nothing new, what is told."""

import json
import time
from collections.abc import Callable

import pytest

from qvm_borg import errors, record
from unit.dom0.backing_up import NAMES, Change, enrol, moves, note, run, vm
from unit.dom0.honest import Honest
from unit.dom0.machine import Actions, Vm, failure
from unit.dom0.test_escrow import noted

ONE = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"  # of the revision 1

# What is changed after a backup that left the qube clean, and whether the next one starts it.
CLEAN: dict[str, tuple[Change, bool]] = {
    "nothing": (lambda _machine, _qube: None, False),
    "it-was-used-since": (lambda _machine, qube: qube.revisions.append("99"), True),
    "its-oldest-revision-is-gone": (lambda _machine, qube: qube.revisions.clear(), True),
    "it-runs": (lambda _machine, qube: setattr(qube, "state", "Running"), True),
    "dom0-forgot": (lambda _machine, qube: note(qube, digests={}), True),
    "the-server-lacks-it": (lambda _machine, qube: _lacks(qube, of_it=True), True),
    "the-server-lacked-an-earlier-one": (lambda _machine, qube: _lacks(qube, of_it=False), False),
}


def _lacks(qube: Vm, of_it: bool) -> None:
    known = record.parse(qube.features.own["x-qborg"])
    assert known is not None
    qube.features.own[record.LACKING] = known.times["backup"] if of_it else "1"


@pytest.mark.parametrize(("change", "again"), CLEAN.values(), ids=CLEAN)
def test_what_dom0_has_halted_after_its_backup_has_nothing_new(
    three: Honest, change: Change, again: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(three, "work") == 0
    change(three, vm(three, "work"))

    assert run(three, "work") == 0

    assert ("call work" in moves(three)) == again
    assert ("work: nothing new since 20" in capsys.readouterr().out) != again
    assert again or three.app.trace == []


# What happens before or amid a backup, after which nothing is known to be clean.
UNCLEAN: dict[str, Change] = {
    "it-ran-before": lambda _machine, qube: setattr(qube, "state", "Running"),
    "somebody-uses-it": lambda machine, qube: machine.users.update({qube.name: "xterm"}),
    "it-keeps-no-revisions": lambda _machine, qube: (setattr(qube, "keeps", False),
                                                   setattr(qube, "revisions", [])),
    "it-failed": lambda machine, _qube: machine.answers.update(RunBackup=failure("borg-failed")),
    "a-killed-run-had-started-it": lambda _machine, qube: (
        setattr(qube, "state", "Running"),
        qube.features.own.update({"x-qborg-started": str(qube.uuid)})),
}


@pytest.mark.parametrize("change", UNCLEAN.values(), ids=UNCLEAN)
def test_what_was_not_dom0s_alone_is_not_clean(three: Honest, change: Change) -> None:
    change(three, vm(three, "work"))
    run(three, "work")
    three.answers.clear()
    vm(three, "work").state = "Halted"

    assert run(three, "work") == 0

    assert moves(three)[:2] == ["start work", "call work"]


def test_a_later_failure_does_not_make_an_older_state_clean_again(three: Honest) -> None:
    run(three, "work")
    vm(three, "work").revisions = ["98"]
    three.answers["RunBackup"] = failure("borg-failed")
    run(three, "work")
    three.answers.clear()

    assert run(three, "work") == 0
    assert "call work" in moves(three)


def test_fifty_clean_qubes_are_looked_at_and_none_is_started(three: Honest) -> None:
    names = [f"q{number}" for number in range(50)]
    for name in names:
        note(enrol(three, name), digests={record.REVISIONS: ONE}, times={"backup": "1"},
             notes={"archive": "a"})

    assert run(three, *names) == 0
    assert three.app.trace == []


def test_one_that_fails_is_told_and_the_others_are_done(
    three: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    run(three, "home")
    honest = three.handle
    capsys.readouterr()

    def answer(qube: Vm, service: str, argument: str) -> Actions:
        bad = (qube.name, service) == ("mail", "RunBackup")
        return failure("quota-exceeded") if bad else honest(qube, service, argument)

    three.app.handler = answer
    assert run(three, "--all", "--json") == errors.PartialFailure.exit_code

    told = capsys.readouterr()
    rows = {row["qube"]: row for row in json.loads(told.out)}
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "home": "clean", "mail": "failed", "work": "done"}
    assert list(rows["work"]) == ["qube", "outcome", "archive", "files", "bytes", "sent",
                                  "seconds", "error", "hint"]
    assert (rows["work"]["files"], rows["work"]["bytes"], rows["work"]["sent"]) == (12, 34567, 2345)
    assert rows["mail"]["error"] == "mail: the quota is used up"
    assert "1 of 3 qubes were not backed up: mail" in told.err
    assert {vm(three, name).state for name in NAMES} == {"Halted"}


def test_a_person_gets_a_line_for_each_at_the_end(
    three: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(three, "home", "nobody") == errors.PartialFailure.exit_code

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[-2:]] in (
        [["home", "done"], ["nobody", "failed"]], [["nobody", "failed"], ["home", "done"]])
    assert "`qvm-ls` lists them" in "".join(lines[-2:])


HOUR = 3600
# What a qube has, its last backup before now in seconds, and whether it is due.
DUE: dict[str, tuple[str | None, float, bool]] = {
    "a-day-and-more": (None, 25 * HOUR, True), "less-than-a-day": (None, 23 * HOUR, False),
    "never": (None, 1e9, True), "in-the-future": (None, -HOUR, True),
    "its-hours-are-over": ("6", 7 * HOUR, True), "its-hours-are-not": ("48", 47 * HOUR, False),
    "too-many": ("8761", 25 * HOUR, True), "most": ("8760", 25 * HOUR, False),
    "none": ("0", HOUR, False), "no-number": ("6h", 7 * HOUR, False),
    "a-sign": ("+6", 7 * HOUR, False),
    "empty": ("", 25 * HOUR, True),
}


@pytest.mark.parametrize(("hours", "age", "due"), DUE.values(), ids=DUE)
def test_whose_turn_it_is(
    three: Honest, hours: str | None, age: float, due: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        note(vm(three, name), times={"backup": str(int(time.time()))})
    note(vm(three, "work"), times={"backup": str(int(time.time() - age))})
    if hours is not None:
        vm(three, "work").features.own["vm-config.qborg-interval-hours"] = hours

    assert run(three, "--due") == 0

    assert moves(three) == (["start work", "call work", "shutdown work"] if due else [])
    told = capsys.readouterr().out
    assert ("no qube is due" in told) != due
    assert ("is no number from 1 to 8760" in told) == (hours in ("8761", "0", "6h", "+6"))


def test_a_paused_one_is_not_due_and_can_be_named(three: Honest) -> None:
    for name in NAMES:
        vm(three, name).features.own["vm-config.qborg-pause"] = "1"

    assert run(three, "--due") == 0
    assert moves(three) == []
    assert run(three, "work") == 0
    assert "call work" in moves(three)


def test_a_clean_one_is_not_due(three: Honest) -> None:
    run(three, "--all")
    for name in NAMES:
        note(vm(three, name), times={"backup": "1"})

    assert run(three, "--due") == 0
    assert three.app.trace == []


def test_with_nothing_enrolled_all_is_an_error_and_due_is_not(ready: Honest) -> None:
    assert run(ready, "--all") == errors.NotEnrolled.exit_code
    assert run(ready, "--due") == 0


LEFT_OUT: dict[str, tuple[Callable[[Vm], object], str]] = {
    "being-revoked": (lambda qube: note(qube, step=record.REVOKING), "is revoked"),
    "files-to-come": (lambda qube: note(qube, notes={record.RESTORE: "a"}), "are not back yet"),
    "half-enrolled": (lambda qube: note(qube, step="publish"), "is unfinished"),
}


@pytest.mark.parametrize(("change", "says"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_cannot_be_backed_up_is_a_failure_and_the_others_go_on(
    three: Honest, change: Callable[[Vm], object], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(vm(three, "home"))

    assert run(three, "--all", "--json") == errors.PartialFailure.exit_code

    told = capsys.readouterr()
    assert says in told.err and "error: 1 of 3 qubes were not backed up: home\n" in told.err
    assert {row["qube"]: row["outcome"] for row in json.loads(told.out)} == {
        "home": "failed", "mail": "done", "work": "done"}
    assert run(three, "home") not in (0, errors.PartialFailure.exit_code)
    assert three.app.trace == []


@pytest.mark.parametrize("which", ["--all", "--due"])
def test_where_none_can_be_backed_up_the_last_error_is_that(
    three: Honest, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        note(vm(three, name), step="publish")

    assert run(three, which) == errors.PartialFailure.exit_code

    told = capsys.readouterr()
    assert told.err.count("error: ") == 4 and "no qube" not in told.err + told.out
    assert "error: 3 of 3 qubes were not backed up: " in told.err
    assert three.app.trace == []


def test_the_only_one_that_cannot_be_says_why_by_its_exit_code(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    enrol(ready, "work")
    note(vm(ready, "work"), step=record.REVOKING)

    assert run(ready, "--all") == errors.NotEnrolled.exit_code
    assert capsys.readouterr().err.startswith("error: the key of work is revoked\n")


@pytest.mark.parametrize("which", ["--all", "--due"])
def test_one_whose_record_cannot_be_read_is_a_failure_and_the_others_go_on(
    three: Honest, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    vm(three, "home").features.own["x-qborg"] = "{}"

    assert run(three, which, "--json") == errors.PartialFailure.exit_code

    told = capsys.readouterr()
    assert "`qvm-borg-status --resync home`" in told.err
    assert {row["qube"]: row["outcome"] for row in json.loads(told.out)} == {
        "home": "failed", "mail": "done", "work": "done"}


def test_a_qube_that_goes_meanwhile_fails_no_other(three: Honest) -> None:
    gone, honest = three.qube("a-disposable"), three.handle  # before the maintenance qube

    def answer(qube: Vm, service: str, argument: str) -> Actions:
        gone.uuid = "gone"  # it is in the list that was read, and tells nothing any more
        return honest(qube, service, argument)

    three.app.handler = answer
    assert run(three, "--all", "--jobs", "1") == 0
    assert {"call home", "call mail", "call work"} <= set(moves(three))


def test_a_copy_is_left_out_and_nobodys_failure(
    three: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    note(vm(three, "home"), uuid=vm(three, "work").uuid)

    assert run(three, "--all", "--json") == 0

    told = capsys.readouterr()
    assert "is a copy of" in told.err
    assert {row["qube"]: row["outcome"] for row in json.loads(told.out)} == {
        "home": "left-out", "mail": "done", "work": "done"}
    assert run(three, "home") == errors.NotEnrolled.exit_code
    assert "`qvm-borg-enroll home --continue home`" in capsys.readouterr().err
    assert three.app.trace == []


def test_the_size_is_noted_so_that_the_next_can_tell_how_long_it_takes(three: Honest) -> None:
    run(three, "work")

    assert noted(three).notes[record.BYTES] == "34567"
    note(vm(three, "work"), notes={**noted(three).notes, record.BYTES: "many"})
    vm(three, "work").revisions = ["97"]
    assert run(three, "work") == 0
