"""An evil maintenance qube, with a vault beside it: bent replies, floods and lies of its services.

It answers everything itself, as an honest one would, but for the one service of a row. A command
reaches that one, ends there in dom0's own words, and dom0 believes what it believed before.
"""

import hashlib
import json
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from lab import Lab
from qborg_wire.services import SERVICES
from scenarios import attacker, attempts, bent, lost, person, state
from scenarios.attacker import ESC, EVIL, MARK
from scenarios.attempts import Attempt
from scenarios.evil_keeper import HONEST, OK, PRINT, ZEROS, answers, filled

# Of the account's record it is asked as well, and the longer name of a service decides.
_WORKS, _ACCOUNT = "SendRecord+qubes-work", f"SendRecord+qubes-{EVIL}"
_BENT = "answered outside the contract"
_NOTES = "app.domains['work'].features['x-qborg'] = {!r}"


@dataclass(frozen=True)
class Way:
    """A command that calls a service, what dom0 forgets of digests before, what others answer."""

    command: tuple[str, ...]
    forgets: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)


_ENROL, _SETUP = ("qvm-borg-enroll", "work"), "qvm-borg-setup"
WAYS = {
    "CheckSetup": Way((_SETUP,)),
    "FirstLogin": Way((_SETUP, "--password"), others={
        "CheckSetup": HONEST["CheckSetup"].replace("login=ok", "login=refused")}),
    "MakeKeys": Way(_ENROL),
    "RegisterKey": Way(("qvm-borg-rotate", "work")),
    "PublishKeys": Way(_ENROL),
    "RevokeKeys": Way(("qvm-borg-revoke", "work")),
    "InitRepository": Way(_ENROL),
    "SendRecord": Way(_ENROL),
    "SendBundle": Way(_ENROL, ("bundle",)),
    "ForgetSecrets": Way(_ENROL),
    "ObserveServer": Way(("qvm-borg-check", "work", "--keys")),
    "ExpectAccount": Way(lost.RECOVER),
    "LendRepository": Way(("qvm-borg-check", "work")),
}  # fmt: skip


def _named(service: str) -> str:
    return _WORKS if service == "SendRecord" else service


@dataclass(frozen=True)
class Liar:
    """The lab, dom0's record of work, and the honest replies with what dom0 knows in them."""

    lab: Lab
    note: state.State
    honest: Mapping[str, str]

    def tells(self, service: str, reply: str) -> None:
        """Have a reply ready for what a service is asked about work."""
        answers(self.lab, _named(service), reply)

    def noted(self, forgets: tuple[str, ...] = ()) -> None:
        """Have dom0 know what it knew, less some digests."""
        digests = {**self.note["digests"], **dict.fromkeys(forgets, ZEROS)}
        bent.in_dom0(self.lab, _NOTES.format(json.dumps({**self.note, "digests": digests})))


@pytest.fixture(scope="module")
def liar(escrowed_once: Lab) -> Liar:
    """work is enrolled and the vault runs; everything that dom0 asks of the evil qube is true."""
    lab, note = escrowed_once, state.noted(escrowed_once)
    lost.starts(lab)
    account = lab.exec(lost.VAULT, ["sh", "-c", f"cat $(ls -d {lost.ACCOUNT}/* | tail -n 1)"],
                       check=True).stdout  # fmt: skip
    key = attacker.record_of(lab)["files"][f"{attacker.KEY}.pub"].split()[:2]
    digests = note["digests"]
    known = {"KEY": " ".join(key), "PRINT": note["fingerprint"], "ID": digests["repository"],
             "EXPORT": digests["key"], "RECORD": digests["record"], "BUNDLE": digests["bundle"]}
    honest = {name: filled(text, known) for name, text in HONEST.items()}
    honest[_ACCOUNT] = filled(HONEST["SendRecord"], {"RECORD": hashlib.sha256(account).hexdigest()})
    made = Liar(lab, note, honest)
    for service, reply in honest.items():
        made.tells(service, reply)
    # The client makes no key when it rotates, so that each row begins anew.
    attacker.shadows(lab, "qborg.PrepareBundle", *attacker.says(filled(
        f"{OK}public_key=@KEY@\nfingerprint=@PRINT@\ncreated=yes\nstate=pending\n", known)))
    return made


@dataclass(frozen=True)
class Bend(Attempt):
    """What stands in the place of OLD in the well-formed reply of any service."""

    old: str
    new: str


_OUTSIDE = "outside the contract: exit code 8, nothing of it shown"
BENDS = {
    "old-nonce": Bend("replay the reply to an earlier request", _OUTSIDE, "@NONCE@", "a" * 32),
    "escapes": Bend("escape sequences before the outcome", _OUTSIDE, "\n", f"\n{ESC}"),
    "another-services": Bend(
        "the reply of another service", _OUTSIDE, OK, f"{OK}cron=running\n"),
    "progress": Bend(
        "progress where none is agreed", _OUTSIDE, "nonce", "progress=backup 1 1\nnonce"),
    "unknown-outcome": Bend("an outcome nobody knows", _OUTSIDE, "outcome=ok", f"outcome={MARK}"),
    "two-replies": Bend("a second reply after the first", _OUTSIDE, OK, f"{OK}{OK}"),
}  # fmt: skip
ROWS = [pytest.param(service, row, id=f"{service}-{name}") for service in WAYS
        for name, row in BENDS.items() if name != "progress" or not SERVICES[service].idle]


def _is_seen_through(liar: Liar, service: str) -> None:
    lab, way = liar.lab, WAYS[service]
    liar.noted(way.forgets)
    for other, reply in way.others.items():
        liar.tells(other, reply)
    before = state.noted(lab), state.files(lab, "dom0", "/home/user/.config")

    says = f"{EVIL}: {service} {_BENT}"
    attacker.is_seen_through(lab, *way.command, code=8, says=says)

    for name in (service, *way.others):
        liar.tells(name, liar.honest[name])
    after = state.noted(lab), state.files(lab, "dom0", "/home/user/.config")
    assert after[1] == before[1]
    for part in ("step", "fingerprint", "digests"):
        assert after[0][part] == before[0][part]


@pytest.mark.parametrize(("service", "row"), ROWS)
def test_a_bent_reply_of_any_of_its_services_is_no_reply(
    liar: Liar, service: str, row: Bend
) -> None:
    assert row.old in liar.honest[service]
    liar.tells(service, liar.honest[service].replace(row.old, row.new, 1))

    _is_seen_through(liar, service)


FLOOD = {"flood": Attempt("a reply without an end, of each service", _OUTSIDE)}


@pytest.mark.parametrize("service", WAYS)
def test_a_flood_of_any_of_its_services_ends_at_the_limit(liar: Liar, service: str) -> None:
    flood = ["read"], ["flood", f"{MARK}\n"]
    attacker.shadows(liar.lab, f"qborg.{_named(service)}", *flood, qube=EVIL)

    _is_seen_through(liar, service)


@dataclass(frozen=True)
class Lie(Attempt):
    """One value of a service that is not so, the exit code and what dom0 says."""

    service: str
    key: str
    value: str
    code: int
    says: str
    command: tuple[str, ...] = ()


_ASKED = "dom0 asks the vault itself: exit code 8"
_KEEPS, _SEEN = "it keeps another record of", f",made,{PRINT},{ZEROS},9,1700000100,3984,1718,fine"
LIES = {
    "not-sent": Lie("that it sent work's record, and it sent none", _ASKED,
                    "SendRecord", "record", ZEROS, 8, f"{_KEEPS} qubes-work"),
    "account-not-sent": Lie("the same of the account's record", _ASKED, _ACCOUNT, "record", ZEROS,
                            8, f"{_KEEPS} qubes-{EVIL}", (_SETUP,)),
    "another-export": Lie(
        "another key of the repository than is in the record", "noticed: exit code 8",
        "InitRepository", "key_digest", ZEROS, 8, "another key than"),
    "forgotten": Lie(
        "that it has forgotten secrets that the vault never got", "exit code 14",
        "MakeKeys", "secrets", "forgotten", 14, "does not have the record",
        ("qvm-borg-enroll", "personal")),
    "fingerprint-of-another": Lie(
        "a fingerprint that is not that of the key to register", "noticed: exit code 8",
        "RegisterKey", "fingerprint", f"SHA256:{'A' * 43}", 8, "fingerprint"),
    "other-repositories": Lie(
        "evidence of another repository", "noticed: exit code 8",
        "ObserveServer", "evidence", f"qubes-personal{_SEEN}", 8, "other repositories"),
    "no-evidence": Lie("no evidence at all", "noticed: exit code 8",
                       "ObserveServer", "evidence", "none", 8, "other repositories"),
    "another-key-there": Lie(
        "that another key is in the repository", "exit code 12, as told",
        "ObserveServer", "evidence", f"qubes-work{_SEEN}", 12, "is not the exported one"),
    "status-bent": Lie(
        "escape sequences as evidence for the status",
        "told as unobserved: exit code 27, nothing of it shown",
        "ObserveServer", "evidence", ESC, 27, _BENT, ("qvm-borg-status", "work")),
    "never-here": Lie(
        "that it has no account, and take none", "the vault's sending fails: exit code 25",
        "ExpectAccount", "account", "expected", 25, "no record is expected"),
    "not-lent": Lie(
        "that it lent a repository, and it did not", "the worker reaches none: exit code 17",
        "LendRepository", "lent", "yes", 17, "worker"),
}  # fmt: skip


@pytest.mark.parametrize("row", LIES.values(), ids=LIES)
def test_a_lie_is_found_out(liar: Liar, row: Lie) -> None:
    honest, way = liar.honest[row.service], WAYS[row.service.partition("+")[0]]
    assert f"\n{row.key}=" in honest
    liar.noted(way.forgets)
    liar.tells(row.service, re.sub(f"(?m)^{row.key}=.*$", f"{row.key}={row.value}", honest))

    command = row.command or way.command
    attacker.is_seen_through(liar.lab, *command, code=row.code, says=row.says)

    liar.tells(row.service, honest)


# What serves the worker, and the exit code: 9 the repository, 17 the server.
LENDS: dict[str, tuple[attacker.Actions, int]] = {
    "words": ([["write", f"{MARK}\n" * 1000]], 9),
    "an-end-at-once": ([["exit", 0]], 17),
    "noise-beside-it": ([["noise", 2_000_000], ["exit", 1]], 17),
}
LENT = attempts.coded("serve the worker, instead of borg's protocol",
                      ((name, code) for name, (_actions, code) in LENDS.items()))  # fmt: skip


@pytest.mark.parametrize(("actions", "code"), LENDS.values(), ids=LENDS)
def test_what_is_no_repository_proves_nothing(
    liar: Liar, actions: attacker.Actions, code: int
) -> None:
    liar.noted()
    attacker.shadows(liar.lab, "qborg.ServeRepository", *actions, qube=EVIL)

    attacker.is_seen_through(liar.lab, "qvm-borg-check", "work", code=code)

    assert "borg-worker" not in liar.lab.qubes()
    assert state.noted(liar.lab) == liar.note


ENDLESS = {
    "words-without-an-end": Attempt("serve the worker words without an end",
                                    "Ctrl-C ends it, the worker is gone, the gate is closed"),
}  # fmt: skip


def test_what_serves_without_an_end_ends_by_ctrl_c(liar: Liar) -> None:
    lab = liar.lab
    liar.noted()
    attacker.shadows(lab, "qborg.ServeRepository", ["flood", f"{MARK}\n"], qube=EVIL)
    lab.faults.clear()

    with lab.popen("dom0", ["qvm-borg-check", "work"]) as tool:
        while not any(call["name"].startswith("qborg.ServeRepository") for call in lab.trace()):
            assert tool.returncode is None
            time.sleep(0.05)
        tool.send_signal(signal.SIGINT)
        _out, err = tool.communicate(None, attacker.QUICK)

    assert tool.returncode == 130 and MARK not in err.decode()
    assert "borg-worker" not in lab.qubes() and state.gates(lab) == []
    assert state.noted(lab) == liar.note


UNSEEN = {
    "says-it-forgot": Attempt(
        "that it has forgotten work's secrets, and keep them",
        "**not noticed**: it knew them while it was evil; `qvm-borg-rotate --new-repository` has "
        "others made in the qube"),
}  # fmt: skip


def test_but_for_what_is_bent_all_of_it_is_believed(liar: Liar) -> None:
    liar.noted()

    said = person.runs(liar.lab, *_ENROL)

    assert "forget     work: borg-maintenance has forgotten its secrets" in said
    assert state.noted(liar.lab) == liar.note
