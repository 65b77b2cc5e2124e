"""Enrolment with a server, or a maintenance qube, that is not as it was at the set-up.

Each row bends the world first; then nothing that lasts may change any more, there or here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import bent, person
from scenarios.refusal import Refused, changes_nothing

WORK = ("work", "--no-escrow")
SETTINGS = "/home/user/.config/qubes-borg/settings.toml"
BLOCK = "# BEGIN qubes-borg qubes {id} epoch=1\\n# END qubes-borg qubes {id}\\n"


@dataclass(frozen=True)
class Bent:
    """How the world is bent, and how the enrolment of `work` must end then."""

    bend: Callable[[Lab], object]
    code: int
    says: str


def _has(lab: Lab, path: str) -> None:
    lab.server.exec(["mkdir", "-p", f"{person.HOME}/{path}"], user="zh1234", check=True)


def _adds(lab: Lab, line: str) -> None:
    script = f"printf '{line}' >> {person.HOME}/{person.KEYS}"
    lab.server.exec(["sh", "-c", script], user="zh1234", check=True)


def _edits(lab: Lab, expression: str) -> None:
    lab.run(["sed", "-i", expression, SETTINGS], check=True)


# The exit codes of qvm_borg/errors.py, written out: 3 SettingsError, 5 QubeUnavailable,
# 7 ServiceMissing, 16 HostKeyError, 17 ServerUnreachable, 18 ServerFull, 19 RepositoryError,
# 22 TemplateError.
SERVER = {
    "sshd-down": Bent(lambda lab: lab.server.stop_sshd(), 17, "cannot be reached"),
    "another-host-key": Bent(bent.changes_the_host_key, 16, "is not the confirmed one"),
    "admin-key-gone": Bent(bent.drops_the_admin_key, 17, "refused the login"),
    "no-borg": Bent(lambda lab: lab.server.offer(), 22, "the server has no borg"),
    "borg-renamed": Bent(
        lambda lab: lab.server.offer("borg12"), 3, "borg12 1.4.0 is there, and no borg14"),
    "key-list-taken-away": Bent(bent.takes_the_key_list, 3, "is not what the set-up found"),
    "full": Bent(lambda lab: lab.server.fill(), 18, "the server's disk is full"),
    "directory-in-the-way": Bent(lambda lab: _has(lab, "repos/qubes-work"), 19, "with another key"),
    "foreign-repository": Bent(
        lambda lab: bent.makes_a_foreign_repository(lab, "qubes-work"), 19, "with another key"),
    "half-a-block": Bent(
        lambda lab: _adds(lab, "# BEGIN qubes-borg qubes\\n"), 17, "marker line"),
    "another-computer": Bent(
        lambda lab: _adds(lab, BLOCK.format(id="0" * 32)), 3, "another computer of the same name"),
}
MAINTENANCE = {
    "no-network": Bent(
        lambda lab: lab.do("net-cut", "borg-maintenance"), 17, "cannot be reached"),
    "somebody-listens": Bent(
        lambda lab: bent.listens_in(lab, "borg-maintenance"), 16, "is not the confirmed one"),
    "paused": Bent(
        lambda lab: lab.do("pause", "borg-maintenance"), 5, "borg-maintenance is paused"),
    "service-removed": Bent(
        lambda lab: bent.root_does(
            lab, "borg-maintenance", "rm /etc/qubes-rpc/qborg.CheckSetup"),
        7, "does not have the service (CheckSetup)"),
    "role-switched-off": Bent(
        lambda lab: bent.in_dom0(
            lab, "del app.domains['borg-maintenance'].features['service.qborg-maintenance']"),
        5, "does not have this role"),
    "removed": Bent(
        lambda lab: bent.in_dom0(
            lab, f"app.domains['dom0'].features['x-qborg-maintenance'] = '{bent.NOBODY}'"),
        3, "the maintenance qube is gone"),
    "another-account-in-the-settings": Bent(
        lambda lab: _edits(lab, "s/zh1234/zh1235/"), 3, "was set up for another machine or server"),
    "broken-settings": Bent(lambda lab: _edits(lab, "1a ["), 3, "not what qvm-borg-setup wrote"),
    "no-settings": Bent(lambda lab: lab.run(["rm", SETTINGS]), 3, "the set-up is not done"),
}


@pytest.mark.parametrize("row", SERVER.values(), ids=SERVER)
def test_the_server_is_not_as_it_was(ready: Lab, row: Bent) -> None:
    row.bend(ready)

    changes_nothing(ready, "qvm-borg-enroll", Refused(WORK, row.code, row.says))


@pytest.mark.parametrize("row", MAINTENANCE.values(), ids=MAINTENANCE)
def test_the_maintenance_qube_is_not_as_it_was(ready: Lab, row: Bent) -> None:
    row.bend(ready)

    changes_nothing(ready, "qvm-borg-enroll", Refused(WORK, row.code, row.says))


def test_a_repository_put_in_the_place_of_ours(enrolled: Lab) -> None:
    bent.makes_a_foreign_repository(enrolled, "qubes-work")

    row = Refused(WORK, 19, "qubes-work is not ours to open")
    changes_nothing(enrolled, "qvm-borg-enroll", row)


@pytest.mark.parametrize("name", ["work", "personal"])
def test_a_maintenance_qube_from_an_older_backup(world: Lab, ready: Lab, name: str) -> None:
    older = bent.saved_maintenance(ready)
    world.restore("enrolled")
    bent.brings_maintenance_back(world, older)
    if name == "personal":
        world.do("start", name)

    row = Refused((name, "--no-escrow"), 3, "the server knows a later state")
    said = changes_nothing(world, "qvm-borg-enroll", row)
    assert "hint: that qube was restored from an old backup" in said


def test_a_maintenance_qube_of_the_same_state_goes_on(enrolled: Lab) -> None:
    bent.brings_maintenance_back(enrolled, bent.saved_maintenance(enrolled))

    assert "nothing was changed" in person.runs(enrolled, "qvm-borg-enroll", *WORK)
