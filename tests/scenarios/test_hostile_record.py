"""An evil maintenance qube: whatever it sends, the vault keeps a good record more, or nothing.

dom0's gate is open as during an enrolment, so nothing but the vault stands in its way. Without a
gate it reaches no vault: test_hostile_calls.py.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import attacker, attempts, lost, person, state
from scenarios.attacker import EVIL, Record, reply_to, spelled
from scenarios.attempts import Attempt
from scenarios.lost import VAULT

CALL, SERVICE = "qborg.StoreRecord+qubes-work", "qborg.StoreRecord"
RECORDS = f"{lost.STATE}/records"
CARELESS = "/etc/qubes/policy.d/30-user.policy"
LIMIT = 65536

Bend = Callable[[Record], bytes]


def _newest(lab: Lab, repository: str) -> Record:
    """Answer the newest record of a repository, as it lies in the vault."""
    newest = f"cat $(ls -d {RECORDS}/{repository}/*.json | tail -n 1)"
    found: Record = json.loads(lab.exec(VAULT, ["sh", "-c", newest], check=True).stdout)
    return found


@dataclass(frozen=True)
class Kept:
    """The lab, what the vault keeps, and the newest records of work and of the account."""

    lab: Lab
    files: state.State
    work: Record
    account: Record

    def is_unchanged(self) -> bool:
        return state.files(self.lab, VAULT, "/rw", "/tmp") == self.files


@pytest.fixture(scope="module")
def vault(escrowed_once: Lab) -> Iterator[Kept]:
    """The vault runs, and dom0's gate is open for a record of work."""
    lost.starts(escrowed_once, VAULT)
    lost.starts(escrowed_once, EVIL)
    with attacker.gate(escrowed_once, CALL, EVIL, VAULT):
        yield Kept(
            escrowed_once, state.files(escrowed_once, VAULT, "/rw", "/tmp"),
            _newest(escrowed_once, "qubes-work"), _newest(escrowed_once, f"qubes-{EVIL}"))


def _set(**values: object) -> Bend:
    return lambda record: spelled({**record, **values})


def _bytes(change: Callable[[bytes], bytes]) -> Bend:
    return lambda record: change(spelled(record))


def _without(name: str) -> Bend:
    return lambda record: spelled({key: record[key] for key in record if key != name})


def _at(name: str, old: str, new: str) -> Bend:
    """Bend one value of the record; a row whose OLD is not there would test nothing."""

    def bend(record: Record) -> bytes:
        assert old in record[name], name
        return spelled({**record, name: record[name].replace(old, new, 1)})

    return bend


BENT: dict[str, Bend] = {
    "empty": lambda record: b"",
    "cut-in-the-middle": _bytes(lambda data: data[: len(data) // 2]),
    "cut-before-the-last-byte": _bytes(lambda data: data[:-1]),
    "a-newline-after-it": _bytes(lambda data: data + b"\n"),
    "twice": _bytes(lambda data: data + data),
    "junk": lambda record: b"\x00\xff" * 500,
    "not-an-object": lambda record: b"[1]",
    "deep": lambda record: b"[" * 60000,
    "spaces": _bytes(lambda data: data.replace(b'":', b'": ', 1)),
    "key-twice": _bytes(lambda data: data.replace(b'"format":"1"', b'"format":"1","format":"1"')),
    "utf-8-beyond-ascii": _bytes(lambda data: data.replace(b"repokey", "repok\u00e9y".encode())),
    "just-of-the-limit": lambda record: b" " * LIMIT,
    "of-another-repository": _set(repository="qubes-personal"),
    "of-another-computer": _set(repository="other-work"),
    "of-a-repository-that-climbs": _set(repository="qubes-../work"),
    "of-no-time": _set(made="-1"),
    "format-2": _set(format="2"),
    "kind-that-nobody-knows": _set(kind="worker"),
    "kind-account-with-a-clients-keys": _set(kind="account"),
    "another-key": _set(install="sh"),
    "without-a-passphrase": _without("passphrase"),
    "without-an-export": _without("key_export"),
    "passphrase-of-two-lines": _at("passphrase", "", "x\n"),
    "passphrase-is-a-list": _set(passphrase=["x"]),
    "escape-sequence": _at("passphrase", "", "\x1b[2J"),
    "nul": _at("passphrase", "", "\0"),
    "private-key-is-a-script": _set(private_key="#!/bin/sh\nreboot\n"),
    "words-after-the-private-key": _at("private_key", "", "Proc-Type: 4,ENCRYPTED\n"),
    "options-before-the-public-key": _at("public_key", "ssh-", 'command="sh" ssh-'),
    "export-with-words": _at("key_export", "BORG_KEY ", "BORG_KEY ../"),
    "host-is-an-option": _set(host="-oProxyCommand=sh"),
    "remote-borg-with-a-shell": _set(remote_borg="borg14; sh"),
}  # fmt: skip
ATTEMPTS = attempts.named(
    "send the vault a record", "refused with the reason, its records unchanged", BENT)  # fmt: skip


@pytest.mark.parametrize("bend", BENT.values(), ids=BENT)
def test_a_bent_record_is_refused_and_nothing_changes(vault: Kept, bend: Bend) -> None:
    data = bend(vault.work)
    assert data != spelled(vault.work)

    result = attacker.calls(vault.lab, EVIL, VAULT, CALL, data)

    reply = result.stdout.decode()
    assert result.returncode == 1
    assert reply.startswith(reply_to(data, "record-refused") + "detail=")
    assert vault.work["passphrase"] not in reply and "\x1b" not in reply
    assert vault.is_unchanged()


OTHERS = {
    "accounts-record": Attempt("the account's record by a client's gate",
                               "refused: it is for another repository"),
    "account-of-a-client": Attempt("an account's record that bears a client's name",
                                   "refused: another qube holds the account"),
    "beyond-the-limit": Attempt("a record beyond the limit", "refused, not even read whole"),
    "without-an-end": Attempt("a stream without an end", "refused at the limit"),
    "repeated": Attempt("the same record again", "taken as that: no version more"),
    "another-passphrase": Attempt(
        "a good record with other secrets in it",
        "one version more, the former one stays; `qvm-borg-check` tells of it: exit code 8, and a "
        "rotation sends a good one"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "cause"), [
    (f"qubes-{EVIL}", "record-refused"), ("qubes-work", "wrong-caller"),
], ids=["accounts-record", "account-of-a-client"])
def test_no_account_comes_by_a_clients_gate(vault: Kept, name: str, cause: str) -> None:
    data = spelled({**vault.account, "repository": name})

    result = attacker.calls(vault.lab, EVIL, VAULT, CALL, data)

    assert (result.returncode, f"outcome={cause}\n" in result.stdout.decode()) == (1, True)
    assert vault.is_unchanged()


@pytest.mark.parametrize("source", [f"head -c {LIMIT + 1} /dev/zero", "cat /dev/zero"],
                         ids=["beyond-the-limit", "without-an-end"])
def test_a_flood_ends_at_the_limit(vault: Kept, source: str) -> None:
    flood = ["sh", "-c", f"{source} | qrexec-client-vm {VAULT} {CALL}"]

    result = vault.lab.exec(EVIL, flood, timeout=attacker.QUICK)

    assert result.returncode == 1
    assert b"outcome=bad-request\n" in result.stdout and b"too long" in result.stdout
    assert vault.is_unchanged()


def test_the_same_record_again_is_no_version_more(vault: Kept) -> None:
    data = spelled(vault.work)

    result = attacker.calls(vault.lab, EVIL, VAULT, CALL, data)

    digest = hashlib.sha256(data).hexdigest()
    assert result.stdout.decode() == reply_to(data, "ok", f"record={digest}", "changed=no")
    assert vault.is_unchanged()


# Who sends what of whom, though somebody's own policy lets it.
WIDE = {
    "client-for-another": ("work", "qubes-personal"),
    "client-the-account": ("work", f"qubes-{EVIL}"),
    "stranger-for-a-client": ("plain", "qubes-work"),
}
CALLERS = attempts.named("send the vault a good record though a careless policy allows it",
                         "refused: the caller does not speak for it", WIDE)  # fmt: skip


@pytest.mark.parametrize(("source", "repository"), WIDE.values(), ids=WIDE)
def test_a_record_of_another_is_refused_whatever_a_policy_says(
    vault: Kept, source: str, repository: str
) -> None:
    record = vault.account if repository == f"qubes-{EVIL}" else vault.work
    data = spelled({**record, "repository": repository})
    attacker.writes(
        vault.lab, CARELESS, f"{SERVICE} * @anyvm @anyvm allow\n".encode(), user="root")

    result = attacker.calls(vault.lab, source, VAULT, f"{SERVICE}+{repository}", data)

    attacker.removes(vault.lab, CARELESS, user="root")
    assert result.returncode == 1 and b"outcome=wrong-caller\n" in result.stdout
    assert vault.is_unchanged()


def test_other_secrets_are_a_version_more_and_told_of(escrowed: Lab) -> None:
    lost.starts(escrowed)
    lost.starts(escrowed, EVIL)
    before, folder = state.files(escrowed, VAULT, RECORDS), f"{RECORDS}/qubes-work"
    former = _newest(escrowed, "qubes-work")
    # Of a day that never comes, too: that would keep no honest one out.
    data = spelled({**former, "passphrase": "evil", "made": "999999999999"})

    with attacker.gate(escrowed, CALL, EVIL, VAULT):
        result = attacker.calls(escrowed, EVIL, VAULT, CALL, data)
        replayed = attacker.calls(escrowed, EVIL, VAULT, CALL, spelled(former))

    assert b"outcome=record-refused\n" in replayed.stdout
    assert result.returncode == 0 and result.stdout.endswith(b"changed=yes\n")
    after = state.files(escrowed, VAULT, RECORDS)
    assert after.keys() - before.keys() == {f"{folder}/000002.json"}
    assert {path: after[path] for path in before} == before
    said = attacker.is_seen_through(escrowed, "qvm-borg-check", "work", code=8)
    assert "it has sent another record of qubes-work than it told of" in said
    assert "a file was read back in a worker" in person.runs(escrowed, "qvm-borg-rotate", "work")
