"""qvm-borg-status: who says what of the backups, trouble first, and a code for whoever watches."""

import json
from dataclasses import replace

import pytest

from qborg_wire.names import Repository
from qvm_borg import errors, gate, lock, record
from qvm_borg.record import Record
from unit.dom0.honest import HOST_KEY, Honest, evidence
from unit.dom0.looking import CLAIM, DAY, GOOD, HOUR, NOW, SHOWN, has, look
from unit.dom0.machine import Actions, answer, failure


def test_all_is_well_in_one_line_for_each_qube(
    running: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(running, calls=2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["qube", "dom0", "saw"] and len(lines) == 2
    assert lines[1].startswith("work  20") and lines[1].count(":") == 4
    assert "3.9 KiB" in lines[1] and "1.7 KiB" in lines[1] and "in the vault" in lines[1]


def test_of_who_is_halted_dom0_tells_what_it_saw_itself(
    halted: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(halted, calls=0) == 0

    told = capsys.readouterr().out
    assert told.splitlines()[1].split()[3:7] == ["-"] * 4
    assert "the server was not asked" in told


def test_a_hundred_hours_is_as_long_as_a_person_wants_to_wait(halted: Honest) -> None:
    late = replace(GOOD, times={**GOOD.times, "backup": str(NOW - 100 * HOUR)})
    has(halted, late)
    assert look(halted) == errors.InTrouble.exit_code

    halted.app.domains.all["work"].features.own["vm-config.qborg-interval-hours"] = "51"
    assert look(halted) == 0


# What is bent in dom0's record, and what a person must read about it; nobody else is asked.
TROUBLES = {
    "imported": (replace(GOOD, notes={**GOOD.notes, "secrets": record.IMPORTED}),
                 "leaked", "`qvm-borg-rotate work` (both at once"),
    "stopped-half-way": (replace(GOOD, step="deliver"), "half-enrolled", "after the step deliver"),
    "not-forgotten": (replace(GOOD, step="prove"), "half-enrolled", "ended after the step prove"),
    "never-proved": (replace(GOOD, times={"backup": str(NOW)}), "unproved", "never proved"),
    "proof-of-another-record": (
        replace(GOOD, times={"backup": str(NOW), "proved": "0"},
                notes={**GOOD.notes, "proved": record.PROOF_IN_WORKER}), "unproved", "never"),
    "proved-long-ago": (replace(GOOD, times={"backup": str(NOW), "proved": str(NOW - 91 * DAY)}),
                        "old-proof", "proved last on 20"),
    "renamed": (replace(GOOD, repository=Repository("qubes", "job")), "renamed", "enrolled as job"),
    "half-revoked": (replace(GOOD, step=record.REVOKING), "half-revoked", "its key is revoked"),
    "half-rotated": (replace(GOOD, notes={**GOOD.notes, record.ROTATION: "0" * 32}),
                     "half-rotated", "a rotation"),
    "late": (replace(GOOD, times={"backup": str(NOW - 3 * DAY), "proved": str(NOW)}),
             "overdue", "no backup since 20"),
}  # fmt: skip


@pytest.mark.parametrize(("found", "name", "says"), TROUBLES.values(), ids=TROUBLES)
def test_a_trouble_is_told_with_what_to_do(
    halted: Honest, found: Record, name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    halted.qube("personal", "Halted")
    personal = replace(GOOD, repository=Repository("qubes", "personal"))
    has(halted, personal, "personal")
    has(halted, found)

    assert look(halted) == errors.InTrouble.exit_code

    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[1].startswith("work ") and lines[4].startswith("personal ")
    assert lines[2].startswith("    ! ") and lines[3].startswith("      ")
    assert says in lines[2] + lines[3]
    assert told.err.startswith("error: 1 of 2 qubes need you: work\n")
    look(halted, "--json", "work")
    troubles = json.loads(capsys.readouterr().out)["qubes"][0]["troubles"]
    assert [each["name"] for each in troubles] == [name]


# What the qube claims and what the server shows, beside dom0's record: the troubles, in order.
BESIDE: dict[str, tuple[dict[str, str], dict[str, str], list[str]]] = {
    "all-agree": ({}, {}, []),
    "a-clock-is-fast": ({"last_success": str(NOW + HOUR // 2)}, {"time": str(NOW - HOUR // 4)}, []),
    "it-claims-more": ({"last_success": str(NOW)}, {"time": str(NOW - DAY)}, ["claims-more"]),
    "it-claims-more-and-is-late": (
        {"last_success": str(NOW)}, {"time": str(NOW - 3 * DAY)}, ["claims-more", "overdue"]),
    "nothing-ever-came": ({"last_success": str(NOW)}, {"time": "0"}, ["claims-more"]),
    "it-claims-less": ({"last_success": "0", "last_outcome": "never"}, {}, []),
    "its-last-run-met-no-network": (
        {"last_success": str(NOW - DAY), "last_outcome": "connection-failed"}, {}, []),
    "its-last-run-met-another-one": ({"last_outcome": "locked"}, {}, []),
    "its-last-run-failed": (
        {"last_success": str(NOW - DAY), "last_outcome": "quota-exceeded"}, {}, ["failing"]),
    "another-passphrase": ({"last_outcome": "wrong-passphrase"}, {}, ["failing"]),
    "another-server": ({"last_outcome": "host-key-changed"}, {}, ["failing"]),
    "it-meets-no-network-for-long": (
        {"last_success": str(NOW - 4 * DAY), "last_outcome": "connection-failed"},
        {"time": str(NOW - 4 * DAY)}, ["claims-more", "failing"]),
    "its-last-run-was-cut": ({"last_outcome": "unfinished"}, {}, []),
    "an-unknown-outcome": (
        {"last_outcome": "owned"}, {"time": str(NOW - 4 * DAY)}, ["claims-more", "overdue"]),
    "no-cron": ({"cron": "stopped"}, {}, ["unscheduled"]),
    "another-bundle": ({"bundle": "c" * 64}, {}, ["another-bundle"]),
    "no-bundle": ({"repository": "none", "bundle": "none"}, {}, ["another-bundle"]),
    "key-changed": ({}, {"key": "e" * 64}, ["another-key"]),
    "key-removed": ({}, {"key": "none"}, ["another-key"]),
    "repository-gone": (
        {}, {"key": "missing", "found": "unknown", "time": "unknown"}, ["missing"]),
    "archives-deleted": ({}, {"found": "deletions"}, ["deletions"]),
    "went-back": ({}, {"found": "shrunk", "transaction": "2"}, ["shrunk"]),
    "not-looked-through": ({}, {"found": "unclear"}, ["unseen"]),
    "borg-alone": ({}, dict.fromkeys(
        ("key", "transaction", "time", "size", "grown", "found"), "unknown"), ["blind"]),
    "borg-alone-and-late": ({"last_success": str(NOW - 4 * DAY)}, dict.fromkeys(
        ("key", "transaction", "time", "size", "grown", "found"), "unknown"), ["blind"]),
    "another-registry": ({}, {"fingerprint": HOST_KEY}, ["another-record"]),
    "a-registry-without-it": ({}, {"origin": "none", "fingerprint": "none"}, ["another-record"]),
    "revoked": ({}, {"origin": "revoked", "fingerprint": "none"}, ["another-record"]),
    "times-beyond-every-calendar": ({}, {"time": "9" * 15, "size": "9" * 15}, []),
}  # fmt: skip


@pytest.mark.parametrize(("claims", "shows", "names"), BESIDE.values(), ids=BESIDE)
def test_who_says_otherwise_is_told(
    running: Honest, claims: dict[str, str], shows: dict[str, str], names: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    running.answers["DescribeClient"] = answer(**{**CLAIM, **claims})
    running.answers["ObserveServer"] = answer(evidence=evidence(**{**SHOWN, **shows}))

    code = look(running, "--json", calls=2)

    (row,) = json.loads(capsys.readouterr().out)["qubes"]
    assert [each["name"] for each in row["troubles"]] == names
    assert code == (errors.InTrouble.exit_code if set(names) - {"blind"} else 0)
    assert look(running) == code
    told = capsys.readouterr().out
    assert told.count("    ! ") == len(names) and "owned" not in told


def test_a_failing_qube_is_told_with_the_hint_for_its_cause(
    running: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    running.answers["DescribeClient"] = answer(**{**CLAIM, "last_outcome": "quota-exceeded"})
    running.answers["ObserveServer"] = answer(evidence=evidence(time=str(NOW - 5 * DAY)))

    assert look(running) == errors.InTrouble.exit_code
    told = capsys.readouterr().out
    assert "its last run ended with quota-exceeded" in told and "NAME" not in told


def test_a_key_file_is_not_on_the_server(running: Honest) -> None:
    has(running, replace(GOOD, notes={**GOOD.notes, record.ENCRYPTION: record.KEYFILE}))
    running.answers["ObserveServer"] = answer(evidence=evidence(**SHOWN, key="none"))

    assert look(running) == 0


# What a service answers that does not answer, and what is told of it.
SILENT: dict[str, tuple[str, Actions, str]] = {
    "the-qube-dies": ("DescribeClient", [["read"], ["exit", 255]], "unanswered"),
    "the-qube-says-anything": (
        "DescribeClient", answer(**{**CLAIM, "last_outcome": "\x1b[2J"}), "unanswered"),
    "the-qube-is-older": ("DescribeClient", [["read"], ["exit", 127]], "unanswered"),
    "the-server-is-away": ("ObserveServer", failure("server-unreachable"), "unobserved"),
    "of-another-qube": ("ObserveServer", answer(evidence=evidence("qubes-mail")), "unobserved"),
    "of-nobody": ("ObserveServer", answer(evidence="none"), "unobserved"),
    "evidence-of-anything": (
        "ObserveServer", answer(evidence=evidence(size="-1")), "unobserved"),
}  # fmt: skip


@pytest.mark.parametrize(("service", "says", "name"), SILENT.values(), ids=SILENT)
def test_who_does_not_answer_is_told_and_the_rest_too(
    running: Honest, service: str, says: Actions, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    running.answers[service] = says

    assert look(running, "--json", calls=2) == errors.InTrouble.exit_code
    told = capsys.readouterr()
    found = json.loads(told.out)
    named = [each["name"] for each in [*found["troubles"], *found["qubes"][0]["troubles"]]]
    assert named == [name] and "\x1b" not in told.err
    assert (found["qubes"][0]["numbers"]["claim"] is None) == (name == "unanswered")
    assert look(running) == errors.InTrouble.exit_code
    assert "\x1b" not in capsys.readouterr().out


def test_many_qubes_are_asked_at_once_and_one_call_is_of_the_server(
    running: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    words = []
    for number in range(20):
        name = f"qube-{number:02}"
        running.qube(name)
        has(running, replace(GOOD, repository=Repository("qubes", name)), name)
        words.append(evidence(f"qubes-{name}", **SHOWN))
    running.answers["ObserveServer"] = answer(
        evidence=" ".join([*words, evidence(**SHOWN)]))

    assert look(running, calls=22) == 0
    assert len(capsys.readouterr().out.splitlines()) == 22


def test_a_copy_is_told_as_one_and_not_asked(
    running: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    has(running, GOOD, own=False)

    assert look(running, "work", calls=0) == errors.InTrouble.exit_code
    told = capsys.readouterr().out
    assert "a copy of the enrolled work" in told and told.count("    ! ") == 1
    assert "`qvm-borg-enroll work --continue work`" in told


def test_without_a_vault_there_is_a_warning_for_ever_and_no_alarm(
    halted: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    has(halted, replace(GOOD, step="prove", notes={"escrow": record.NO_ESCROW}))

    assert look(halted) == 0
    told = capsys.readouterr().out
    assert "none, by choice" in told and "    ! no vault has what opens its repository" in told


def test_a_stale_gate_is_told_and_left_to_the_next_command(
    halted: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    (halted.policy / gate.NAME).write_text("left", encoding="ascii")

    assert look(halted) == errors.InTrouble.exit_code
    told = capsys.readouterr()
    assert told.out.splitlines()[0].startswith("    ! a gate is open that nobody closes")
    assert "error: a gate is open" in told.err and (halted.policy / gate.NAME).exists()
    with lock.held():  # its owner lives
        assert look(halted) == 0


@pytest.mark.parametrize(("name", "code"), [
    ("nobody", errors.QubeUnavailable.exit_code), ("work", errors.NotEnrolled.exit_code),
])
def test_a_name_without_a_record_is_an_error(ready: Honest, name: str, code: int) -> None:
    assert look(ready, name) == code


@pytest.mark.parametrize("bad", ["{}", "x" * 5000, '{"uuid": 1}', "[]"])
def test_a_damaged_record_is_none_and_told(
    ready: Honest, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.app.domains.all["work"].features.own["x-qborg"] = bad

    assert look(ready, "work") == errors.NotEnrolled.exit_code
    assert "`qvm-borg-status --resync work`" in capsys.readouterr().err
    assert look(ready, "--json") == errors.InTrouble.exit_code
    (told,) = json.loads(capsys.readouterr().out)["troubles"]
    assert told["name"] == "unread" and told["what"].startswith("work is enrolled")
    look(ready)
    assert "no qube is enrolled" not in capsys.readouterr().out


@pytest.mark.parametrize("seconds", [10**14, 10**15 - 1])
def test_a_moment_beyond_every_calendar_is_shown_as_unknown(
    halted: Honest, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    has(halted, replace(GOOD, times={"backup": str(seconds), "proved": str(NOW)}))

    assert look(halted) == 0
    assert " ? " in capsys.readouterr().out


@pytest.mark.parametrize("bad", ["0", "-1", "x", "8761", "99999", "1.5", ""])
def test_an_interval_that_is_none_is_a_day(halted: Honest, bad: str) -> None:
    halted.app.domains.all["work"].features.own["vm-config.qborg-interval-hours"] = bad

    assert look(halted) == 0


def test_it_waits_for_no_other_command_but_to_rebuild(running: Honest) -> None:
    with lock.held():
        assert look(running) == 0
        assert look(running, "--resync") == errors.LockedError.exit_code
