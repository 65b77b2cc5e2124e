"""An evil maintenance qube: forged replies to dom0, of each of its services.

It answers everything itself, well formed, but for the one lie of a row. What it may send to a
client is in test_hostile_bundle.py, whom it may call in test_hostile_calls.py.
"""

import json
from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import attacker, person, state
from scenarios.attacker import ESC, EVIL, MARK, says
from scenarios.attempts import Attempt

ENROL = ("qvm-borg-enroll", "work", "--no-escrow")
OK = "nonce=@NONCE@\noutcome=ok\n"
# A key with its fingerprint, as ssh-keygen tells it, and another key.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKv8PkzJ7pmGNAnMPrCwTEu5qVdKmMgWz9pqGf8T2m3x"
PRINT = "SHA256:3e4Cdq8WSu1PNiVQCY4KFsS2SZyVlfuNZAWPMDanKAs"
OTHER = KEY.replace("m3x", "m3w")
ZEROS = "0" * 64
BEFORE_DELIVERY = ("none", "preflight", "create", "publish", "initialise")


# A well-formed success of each service; @HOST@ stands for the server's own fingerprint.
HONEST = {
    "CheckSetup": f"{OK}admin_key={KEY}\nhost_key=@HOST@\nlogin=ok\nremote_borg=borg14\n"
                  "borg=1.4.0\nepoch=0\noccupied=none\nrevoked=none\nprovider=generic\n"
                  "access=shell\nkeys=ours\nsnapshots=unknown\n",
    "MakeKeys": f"{OK}public_key={KEY}\nfingerprint={PRINT}\ncreated=yes\nquota=none\n"
                "origin=made\nsecrets=kept\n",
    "PublishKeys": f"{OK}epoch=1\nkeys=1\nchanged=yes\ndigest={ZEROS}\n"
                   "awaited=none\n",
    "InitRepository": f"{OK}repository_id={ZEROS}\nkey_digest={ZEROS}\ncreated=yes\n"
                      "encryption=repokey-blake2\n",
    "SendBundle": f"{OK}bundle={ZEROS}\nchanged=yes\naside=no\n",
}  # fmt: skip


def _answers(lab: Lab, service: str, reply: str) -> None:
    text = reply.replace("@HOST@", person.fingerprint(lab))
    attacker.shadows(lab, f"qborg.{service}", *says(text), qube=EVIL)


@pytest.fixture(scope="module")
def lying(world: Lab) -> Lab:
    """Set up; the maintenance qube answers every service by a program of its own."""
    world.faults.clear()
    world.restore("ready")
    for service, reply in HONEST.items():
        _answers(world, service, reply)
    return world


def _how_far(lab: Lab) -> str:
    """Answer the step that dom0 has noted, `none` without a record."""
    return str(json.loads(state.qubesd(lab)["work"]["features"].get("x-qborg", '{"step":"none"}'))[
        "step"])


@dataclass(frozen=True)
class Bend(Attempt):
    """What stands in the place of OLD in the well-formed reply of any service."""

    old: str
    new: str


_OUTSIDE = "outside the contract: exit code 8, nothing of it shown"
BENDS = {
    "old-nonce": Bend("replay the reply to an earlier request", _OUTSIDE, "@NONCE@", "a" * 32),
    "escapes": Bend("escape sequences as the last value", _OUTSIDE, "\n", f"\n{ESC}"),
    "another-services": Bend(
        "the reply of another service", _OUTSIDE, OK, f"{OK}cron=running\n"),
    "progress": Bend(
        "progress where none is agreed", _OUTSIDE, "nonce", "progress=backup 1 1\nnonce"),
    "unknown-outcome": Bend("an outcome nobody knows", _OUTSIDE, "outcome=ok", f"outcome={MARK}"),
    "two-replies": Bend("a second reply after the first", _OUTSIDE, OK, f"{OK}{OK}"),
}  # fmt: skip


@pytest.mark.parametrize("row", BENDS.values(), ids=BENDS)
@pytest.mark.parametrize("service", HONEST)
def test_a_bent_reply_of_any_of_its_services_is_no_reply(
    lying: Lab, service: str, row: Bend
) -> None:
    assert row.old in HONEST[service]
    _answers(lying, service, HONEST[service].replace(row.old, row.new, 1))

    attacker.is_seen_through(lying, *ENROL, code=8)

    _answers(lying, service, HONEST[service])
    assert _how_far(lying) in BEFORE_DELIVERY


FLOOD = {"flood": Attempt("a reply without an end, of each service", _OUTSIDE)}


@pytest.mark.parametrize("service", HONEST)
def test_a_flood_of_any_of_its_services_ends_at_the_limit(lying: Lab, service: str) -> None:
    attacker.shadows(lying, f"qborg.{service}", ["read"], ["flood", f"{MARK}\n"], qube=EVIL)

    attacker.is_seen_through(lying, *ENROL, code=8)

    _answers(lying, service, HONEST[service])
    assert _how_far(lying) in BEFORE_DELIVERY


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
    _answers(lying, row.service, HONEST[row.service].replace(row.old, row.new, 1))

    attacker.is_seen_through(lying, *ENROL, code=row.code)

    _answers(lying, row.service, HONEST[row.service])
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
    _answers(ready, row.service, HONEST[row.service])

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
    _answers(enrolled, "MakeKeys", made)

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
    _answers(fresh, "CheckSetup", lie)

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
