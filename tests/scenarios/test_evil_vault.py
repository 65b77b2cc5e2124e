"""A vault that sends another record than the account's when a maintenance qube is made again, or
tells of another account: nothing of it is used."""

from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import attacker, lost, person, state
from scenarios.attempts import Attempt
from scenarios.lost import KEEPER, RECOVER, STATE, VAULT

ACCEPT = f"qborg.AcceptAccount+qubes-{KEEPER}"
_SENDS = """#!/usr/bin/python3 -I
import sys; sys.path.insert(0, "/usr/lib/qubes-borg")
from qborg_borg import recovery_record
from qborg_vault.services import release_record
from qborg_vault.store import own_vault
from qborg_wire.names import Repository
honest = recovery_record.encode
def bent(kind, repository, values):
    return %s
release_record.recovery_record.encode = bent
sys.exit(release_record.main())
"""
_TELLS = """#!/usr/bin/python3 -I
import sys; sys.path.insert(0, "/usr/lib/qubes-borg")
from qborg_wire import reply
from qborg_service import entry
honest = entry.format_reply
entry.format_reply = lambda row, nonce, values: honest(row, nonce, dict(values) | %s)
from qborg_vault.services.describe_account import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Sends(Attempt):
    """What it sends in the record's place, as an expression of Python."""

    data: str


@dataclass(frozen=True)
class Tells(Attempt):
    """What it tells of the account in DescribeAccount, and what dom0 says of it."""

    values: str
    says: str = "its account is not the one of"


_REFUSED = "the maintenance qube refuses it: exit code 25, no key is installed"
_CHANGED = "honest(kind, repository, dict(values) | {'%s': %s})"
SENDS = {
    "a-clients-record": Sends(
        "the record of a client", _REFUSED,
        "(lambda r: honest(r.kind, r.repository, r.values))"
        "(own_vault().required(Repository('qubes', 'work')))"),
    "another-computers": Sends("the account of another computer", _REFUSED,
                               _CHANGED % ("machine_id", "'f' * 32")),
    "another-server": Sends("the account at another server", _REFUSED,
                            _CHANGED % ("host", "'evil.example'")),
    "another-host-key": Sends("another host key of the server", _REFUSED,
                              _CHANGED % ("host_key", "'ssh-ed25519 AAAA' + 'A' * 64")),
    "another-registry": Sends("the account with a registry of its own", _REFUSED,
                              _CHANGED % ("registry", "'{}' + chr(10)")),
    "no-record": Sends("what is no record", _REFUSED, "b'{}'"),
}  # fmt: skip
_COMPARED = "dom0 compares it with its settings: exit code 3, no qube is made"
TELLS = {
    "tells-another-computer": Tells("that the account is another computer's", _COMPARED,
                                    "{'machine_id': 'f' * 32}"),
    "tells-another-server": Tells("another server", _COMPARED, "{'host': 'evil.example'}"),
    "tells-another-account": Tells("another account of the server", _COMPARED,
                                   "{'account': 'evil'}"),
    "tells-another-host-key": Tells("another host key", _COMPARED,
                                    "{'host_key': 'SHA256:' + 'A' * 43}"),
    "names-a-client": Tells("a client's name as the maintenance qube's",
                            "dom0 takes no qube that it has not made: exit code 3",
                            "{'maintenance': 'work'}", "was not made by qubes-borg"),
    "names-dom0": Tells("dom0 as the maintenance qube",
                        "dom0 takes no qube that it has not made: exit code 3",
                        "{'maintenance': 'dom0'}", "was not made by qubes-borg"),
}  # fmt: skip
OTHERS = {
    "says-it-sent": Attempt(
        "say that it sent the record, and send none",
        "the maintenance qube is asked itself: exit code 8, and it makes no key of its own"),
    "copies-another-key": Attempt(
        "that it filed a record of another key under a former repository's name",
        "dom0 compares the key's digest: exit code 8, nothing is moved and no key revoked"),
    "from-another-qube": Attempt(
        "an account from a client, under a policy that is too wide",
        "the maintenance qube takes what dom0 told it to expect, from that vault alone"),
}  # fmt: skip


@pytest.fixture(scope="module")
def lost_world(escrowed_once: Lab) -> Lab:
    """The maintenance qube is gone, and the vault runs."""
    lost.removes(escrowed_once)
    lost.starts(escrowed_once)
    escrowed_once.snapshot("lost-to-evil")
    return escrowed_once


@pytest.fixture
def lab(lost_world: Lab) -> Lab:
    """The same, again as it was."""
    lost_world.restore("lost-to-evil")
    return lost_world


def _goes_on_with_an_honest_one(lab: Lab) -> None:
    attacker.repents(lab, VAULT)
    person.runs(lab, *RECOVER)
    assert "nothing was changed" in person.runs(lab, "qvm-borg-enroll", "work")


def _has_no_key(lab: Lab) -> None:
    lost.starts(lab, KEEPER)
    listed = lab.exec(KEEPER, ["ls", "-A", STATE]).stdout.split()
    assert set(listed) <= {b"lock"}


@pytest.mark.parametrize("row", SENDS.values(), ids=SENDS)
def test_what_is_not_the_expected_record_is_refused(lab: Lab, row: Sends) -> None:
    attacker.bends(lab, "qborg.ReleaseRecord", _SENDS % row.data, VAULT)

    attacker.is_seen_through(lab, *RECOVER, code=25)

    _has_no_key(lab)
    _goes_on_with_an_honest_one(lab)


@pytest.mark.parametrize("row", TELLS.values(), ids=TELLS)
def test_another_account_than_dom0s_makes_no_qube(lab: Lab, row: Tells) -> None:
    attacker.bends(lab, "qborg.DescribeAccount", _TELLS % row.values, VAULT)
    before = state.qubesd(lab)

    person.is_refused(lab, *RECOVER, code=3, says=row.says)

    assert state.changes(before, state.qubesd(lab)) == []


def test_what_it_only_says_it_sent_is_asked_for(lab: Lab) -> None:
    described = lab.exec(VAULT, ["sh", "-c", f"sha256sum $(ls -d {lost.ACCOUNT}/* | tail -n 1)"],
                         check=True).stdout.split()[0].decode()  # fmt: skip
    attacker.shadows(lab, "qborg.ReleaseRecord", qube=VAULT, *attacker.says(
        f"nonce=@NONCE@\noutcome=ok\nrecord={described}\n"))

    said = attacker.is_seen_through(lab, *RECOVER, code=8)

    assert "it has not sent the record that it told of" in said
    _has_no_key(lab)
    _goes_on_with_an_honest_one(lab)


def test_from_another_qube_none_is_taken(lab: Lab) -> None:
    record = lab.exec(VAULT, ["sh", "-c", f"cat $(ls -d {lost.ACCOUNT}/* | tail -n 1)"],
                      check=True).stdout  # fmt: skip
    attacker.shadows(lab, "qborg.ReleaseRecord", *attacker.says("nonce"), qube=VAULT)
    attacker.is_seen_through(lab, *RECOVER, code=8)
    lost.starts(lab, KEEPER)

    with attacker.gate(lab, ACCEPT, "work", KEEPER):
        done = attacker.calls(lab, "work", KEEPER, ACCEPT, record)

    assert b"outcome=wrong-caller" in done.stdout
    _has_no_key(lab)


def test_a_copy_of_another_key_stops_a_replacement(escrowed: Lab) -> None:
    keys = lost.keys(escrowed)
    lost.starts(escrowed)
    attacker.shadows(escrowed, "qborg.CopyRecord", qube=VAULT, *attacker.says(
        f"nonce=@NONCE@\noutcome=ok\nrecord={'a' * 64}\nkey={'b' * 64}\nchanged=yes\n"))
    replace = ("qvm-borg-rotate", "work", "--new-repository")

    said = attacker.is_seen_through(escrowed, *replace, code=8, seconds=300)

    assert "its record of qubes-work.former1 holds another key than was exported" in said
    assert lost.keys(escrowed) == keys and len(state.archives(escrowed)) == 1
    attacker.repents(escrowed, VAULT)
    assert "stay in qubes-work.former1" in person.runs(escrowed, *replace)
