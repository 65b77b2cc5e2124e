"""Enrolment of a qube that has or sees something else than it needs: found out by asking it.

Root in a running qube stands for a template that lacks something; its root volume is volatile.
"""

from collections.abc import Callable

import pytest

from lab import Lab
from scenarios import bent, person
from scenarios.refusal import Refused, changes_nothing

WORK = ("work", "--no-escrow")
Bend = Callable[[Lab], object]


def _removes(path: str) -> Bend:
    return lambda lab: bent.root_does(lab, "work", f"rm -r {path}")


def _prints(program: str, line: str) -> Bend:
    return lambda lab: bent.replaces(lab, "work", program, line)


# The exit codes of qvm_borg/errors.py, written out: 5 QubeUnavailable, 7 ServiceMissing,
# 8 WireError, 13 EnrolmentRefused, 16 HostKeyError, 17 ServerUnreachable, 22 TemplateError.
ROWS: dict[str, tuple[Bend, int, str]] = {
    "server-out-of-its-reach": (
        lambda lab: lab.do("net-cut", "work"), 17, "work: the server cannot be reached"),
    "somebody-listens": (
        lambda lab: bent.listens_in(lab, "work"), 16, "work: it sees another host key"),
    "no-cron": (_removes("/usr/sbin/cron"), 22, "there is no cron"),
    "no-borg": (_removes("/usr/bin/borg"), 22, "there is no borg"),
    "no-borgmatic": (_removes("/usr/bin/borgmatic"), 22, "there is no borgmatic"),
    "old-borgmatic": (
        _prints("/usr/bin/borgmatic", "1.7.15"), 22, "too old, or of borg 2 (borgmatic 1.7.15)"),
    "old-borg": (_prints("/usr/bin/borg", "borg 1.1.18"), 22, "or of borg 2 (borg 1.1.18)"),
    "borg-2": (_prints("/usr/bin/borg", "borg 2.0.0b14"), 22, "too old, or of borg 2 (borg 2.0.0)"),
    "something-called-borg": (_prints("/usr/bin/borg", "hello"), 22, "there is no borg"),
    "service-removed": (_removes("/etc/qubes-rpc/qborg.DescribeClient"), 7, "(DescribeClient)"),
    "half-installed": (
        _removes("/usr/lib/qubes-borg/qborg_client"), 8, "did not answer (DescribeClient)"),
    "services-lead-nowhere": (_removes("/usr/lib/qubes-borg"), 7, "(DescribeClient)"),
    "paused": (lambda lab: lab.do("pause", "work"), 5, "work is paused, not running"),
}


@pytest.mark.parametrize(("bend", "code", "says"), ROWS.values(), ids=ROWS)
def test_a_qube_that_lacks_something(ready: Lab, bend: Bend, code: int, says: str) -> None:
    bend(ready)

    changes_nothing(ready, "qvm-borg-enroll", Refused(WORK, code, says))


def test_a_qube_that_was_restored_under_its_name(enrolled: Lab) -> None:
    bent.restores_under_its_name(enrolled, "work")
    enrolled.do("start", "work")

    row = Refused(WORK, 13, "work: is a copy of an enrolled qube")
    assert "qvm-features --unset work x-qborg" in changes_nothing(
        enrolled, "qvm-borg-enroll", row)


def test_a_restored_qube_is_enrolled_anew_when_told_so(enrolled: Lab) -> None:
    bent.restores_under_its_name(enrolled, "work")
    bent.in_dom0(enrolled, "del app.domains['work'].features['x-qborg']")

    person.runs(enrolled, "qvm-borg-enroll", *WORK)

    enrolled.do("start", "work")
    listed = enrolled.exec("work", ["borgbak", "list", "--short"], check=True).stdout
    assert len(listed.splitlines()) == 2


def test_two_qubes_that_differ_by_case_in_one_command(ready: Lab) -> None:
    said = person.runs(ready, "qvm-borg-enroll", "Work", "work", "--no-escrow", code=11)

    assert "error: 2 of 2 qubes were not enrolled: Work work" in said.splitlines()


def test_a_qube_that_is_well_is_not_refused(ready: Lab) -> None:
    assert "work: enrolled" in person.runs(ready, "qvm-borg-enroll", *WORK)
