"""An evil maintenance qube: lies to dom0 in an enrolment without escrow.

It answers everything itself, well formed, but for the one lie of a row. What it may send to a
client is in test_hostile_bundle.py, to the vault in test_hostile_record.py, whom it may call in
test_hostile_calls.py; with a vault beside it, it lies in test_bent_replies.py.
"""

import json
from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import attacker, evil_keeper, person, state
from scenarios.attacker import EVIL, MARK
from scenarios.attempts import Attempt
from scenarios.evil_keeper import FORGED, KEY, OTHER, ZEROS, answers, filled

ENROL = ("qvm-borg-enroll", "work", "--no-escrow")
BEFORE_DELIVERY = ("none", "preflight", "create", "publish", "initialise")


# A well-formed success of each service that such an enrolment calls.
HONEST = {name: filled(evil_keeper.HONEST[name], FORGED) for name in (
    "CheckSetup", "MakeKeys", "PublishKeys", "InitRepository", "SendBundle")}


@pytest.fixture(scope="module")
def lying(world: Lab) -> Lab:
    """Set up; the maintenance qube answers every service by a program of its own."""
    world.faults.clear()
    world.restore("ready")
    for service, reply in HONEST.items():
        answers(world, service, reply)
    return world


def _how_far(lab: Lab) -> str:
    """Answer the step that dom0 has noted, `none` without a record."""
    return str(json.loads(state.qubesd(lab)["work"]["features"].get("x-qborg", '{"step":"none"}'))[
        "step"])


_OUTSIDE = "outside the contract: exit code 8, nothing of it shown"


@dataclass(frozen=True)
class Lie(Attempt):
    """One value of one service that is not what dom0 may believe, and the exit code."""

    service: str
    old: str
    new: str
    code: int = 8


LIES = {
    "another-host-key": Lie(
        "a host key that nobody confirmed", "exit code 16", "CheckSetup", "@HOST@",
        f"SHA256:{'A' * 43}", 16),
    "login-refused": Lie(
        "that the server refuses the login", "exit code 17", "CheckSetup", "login=ok",
        "login=refused", 17),
    "no-borg": Lie("that there is no borg", "exit code 22", "CheckSetup", "borg=1.4.0",
                   "borg=none", 22),
    "borg-with-words": Lie("a shell in the name of the server's borg", _OUTSIDE, "CheckSetup",
                           "remote_borg=borg14", "remote_borg=borg14; sh"),
    "epoch-negative": Lie("an epoch below zero", _OUTSIDE, "CheckSetup", "epoch=0", "epoch=-1"),
    "epoch-endless": Lie("an epoch beyond counting", _OUTSIDE, "PublishKeys", "epoch=1",
                         f"epoch={'9' * 16}"),
    "occupied": Lie("that the repository is somebody else's", "exit code 19", "CheckSetup",
                    "occupied=none", "occupied=qubes-work", 19),
    "occupied-climbs": Lie("a path for a repository's name", _OUTSIDE, "CheckSetup",
                           "occupied=none", "occupied=qubes-../x"),
    "fingerprint-of-another": Lie(
        "a fingerprint that is not the shown key's", "noticed: exit code 8", "MakeKeys",
        KEY, OTHER),
    "key-with-options": Lie("options before the key", _OUTSIDE, "MakeKeys", "public_key=",
                            'public_key=command="sh" '),
    "key-with-a-comment": Lie("words after the key", _OUTSIDE, "MakeKeys", KEY, f"{KEY} admin"),
    "key-of-two-lines": Lie("two keys for one", _OUTSIDE, "MakeKeys", KEY, f"{KEY}\n{OTHER}"),
    "key-no-base64": Lie(
        "a key that is none", "noticed: exit code 8", "MakeKeys", KEY,
        "ssh-rsa AAAAB3NzaC1yc2EA" + "A" * 301),
    "forgotten": Lie(
        "that it has forgotten secrets which nobody else has", "exit code 13, before delivery",
        "MakeKeys", "secrets=kept", "secrets=forgotten", 13),
    "digest-is-text": Lie("text for a digest", _OUTSIDE, "InitRepository", ZEROS, MARK.lower()),
    "nothing-sent": Lie(
        "that it delivered, and it did not", "dom0 asks the client itself: exit code 8",
        "SendBundle", "changed=yes", "changed=no"),
    "blames-the-client": Lie(
        "that the client refused its bundle", "exit code 25, as told of the client", "SendBundle",
        f"ok\nbundle={ZEROS}\nchanged=yes\naside=no",
        "bundle-refused\ndetail=work: it does not like it", 25),
}


@pytest.mark.parametrize("row", LIES.values(), ids=LIES)
def test_a_lie_ends_the_enrolment_there(lying: Lab, row: Lie) -> None:
    assert row.old in HONEST[row.service]
    answers(lying, row.service, HONEST[row.service].replace(row.old, row.new, 1))

    attacker.is_seen_through(lying, *ENROL, code=row.code)

    answers(lying, row.service, HONEST[row.service])
    assert _how_far(lying) in BEFORE_DELIVERY


@dataclass(frozen=True)
class NotDone(Attempt):
    """A service that tells of what it did not do, while the others are honest."""

    service: str
    code: int
    says: str


NOT_DONE = {
    "not-published": NotDone(
        "that it published the key, and it did not",
        "the birth of the repository, by that very key, fails: exit code 17",
        "PublishKeys", 17, "refused the login"),
    "not-initialised": NotDone(
        "that it made the repository, and it did not",
        "the client's first backup fails: exit code 19", "InitRepository", 19,
        "not on the server"),
}  # fmt: skip


@pytest.mark.parametrize("row", NOT_DONE.values(), ids=NOT_DONE)
def test_what_it_only_says_it_did_is_found_out(ready: Lab, row: NotDone) -> None:
    answers(ready, row.service, HONEST[row.service])

    said = attacker.is_seen_through(ready, *ENROL, code=row.code)

    assert row.says in said
    attacker.repents(ready, EVIL)
    assert "work: enrolled" in person.runs(ready, *ENROL)


AFTERWARDS = {
    "another-key": Attempt(
        "another key than the one that dom0 noted", "noticed before anything is published: 8"),
    "not-moved": Attempt(
        "that it moved a former repository aside, and it did not",
        "the birth of the new one fails: exit code 19, and the next run goes on"),
    "key-to-add": Attempt(
        "at the set-up, a second line in the key that the person is to add", _OUTSIDE),
}


def test_another_key_than_the_noted_one_is_not_published(enrolled: Lab) -> None:
    before = enrolled.server.exec(["cat", f"{person.HOME}/{person.KEYS}"], check=True).stdout
    made = HONEST["MakeKeys"].replace("created=yes", "created=no")
    answers(enrolled, "MakeKeys", made)

    said = attacker.is_seen_through(enrolled, *ENROL, code=8)

    assert "another key than was noted for work" in said
    assert enrolled.server.exec(
        ["cat", f"{person.HOME}/{person.KEYS}"], check=True).stdout == before


def test_a_repository_that_it_only_says_it_moved_is_not_replaced(escrowed: Lab) -> None:
    attacker.bends(escrowed, "qborg.RegisterKey", _UNMOVED, EVIL)
    replace = ("qvm-borg-rotate", "work", "--new-repository")

    said = attacker.is_seen_through(escrowed, *replace, code=19, seconds=300)

    assert "its repository exists, with another key" in said
    attacker.repents(escrowed, EVIL)
    assert "stay in qubes-work.former1" in person.runs(escrowed, *replace)


def test_the_line_to_add_at_the_set_up_is_one_line(fresh: Lab) -> None:
    fresh.do("start", "sys-firewall")
    options = ("--server", person.SERVER, "--fingerprint", person.fingerprint(fresh))
    person.runs(fresh, "qvm-borg-setup", *options, code=15)
    fresh.do("start", EVIL)
    lie = HONEST["CheckSetup"].replace(KEY, f"{KEY}\n{OTHER}").replace("=ok\nr", "=refused\nr")
    answers(fresh, "CheckSetup", lie)

    said = attacker.is_seen_through(fresh, "qvm-borg-setup", code=8)

    assert "ssh-ed25519" not in said


_UNMOVED = """#!/usr/bin/python3 -I
import sys; sys.path.insert(0, "/usr/lib/qubes-borg")
from qborg_maintenance import replacement
from qborg_maintenance.services.register_key import main
replacement.make_room = lambda *_asked: True
sys.exit(main())
"""
_ELSEWHERE = """#!/usr/bin/python3 -I
import dataclasses, sys; sys.path.insert(0, "/usr/lib/qubes-borg")
from qborg_maintenance import render
from qborg_maintenance.services.send_bundle import main
honest = render.bundle
render.bundle = lambda known, *keys: honest(dataclasses.replace(known, %s), *keys)
sys.exit(main())
"""


@dataclass(frozen=True)
class Elsewhere(Attempt):
    """One setting that is another in the bundle, as a keyword of Python."""

    value: str


_COMPARED = "dom0 compares where the installed bundle leads to: exit code 8, no backup"
ELSEWHERE = {
    "host": Elsewhere("another server in the bundle", _COMPARED, 'host="evil.example"'),
    "port": Elsewhere("another port in the bundle", _COMPARED, 'port="2222"'),
    "account": Elsewhere("another account in the bundle", _COMPARED, 'account="evil"'),
    "host-key": Elsewhere("another host key in the bundle", _COMPARED, f'host_key="{OTHER}"'),
    "borg": Elsewhere("another borg of the server", _COMPARED, 'remote_borg="borg12"'),
}


@pytest.mark.parametrize("row", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_bundle_that_leads_elsewhere_is_noticed(ready: Lab, row: Elsewhere) -> None:
    attacker.bends(ready, "qborg.SendBundle", _ELSEWHERE % row.value, EVIL)

    said = attacker.is_seen_through(ready, *ENROL, code=8)

    assert "leads to another server than the set-up" in said
    assert _how_far(ready) in BEFORE_DELIVERY
    attacker.repents(ready, EVIL)
    assert "work: enrolled" in person.runs(ready, *ENROL)
