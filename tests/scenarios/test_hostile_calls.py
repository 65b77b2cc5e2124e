"""Who may deliver and call: without dom0's very own gate nobody, with it one call and no more.

The evil qube holds a good record here; what stands in its way is the policy, the stream's end
and the client's patience.
"""

import hashlib
import json
import time
from collections.abc import Callable

import pytest

from lab import Lab
from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from scenarios import attacker, attempts, lost, person, state
from scenarios.attacker import CALL, EVIL, KEY, VICTIM, other_pair, reply_to, sends, spelled
from scenarios.lost import VAULT

PLACES = (VICTIM, EVIL, VAULT)


@pytest.fixture(scope="module")
def steady(steady: Lab) -> Lab:
    """The same, and there is a vault, which runs."""
    person.runs(steady, "qvm-borg-setup", "--vault", VAULT)
    lost.starts(steady)
    return steady


@pytest.mark.parametrize("count", [0, 1, 1000, -1], ids=["0", "1", "1000", "all-but-one"])
def test_a_good_record_whose_stream_is_cut_changes_nothing(steady: Lab, count: int) -> None:
    record = attacker.record_of(steady)
    record["files"]["borgpass"] = "y" * 43 + "\n"
    data, before = spelled(record), state.files(steady, VICTIM, "/rw", "/tmp")
    steady.faults.add(where="qrexec", match=CALL, action=f"cut-after:{count % len(data)}:in")

    code, _reply = sends(steady, data)

    assert code != 0
    steady.faults.clear()
    assert state.files(steady, VICTIM, "/rw", "/tmp") == before


def _serving(lab: Lab) -> bytes:
    look = "grep -alE '^/usr/bin/python3.*qborg.InstallBundle' /proc/[0-9]*/cmdline 2>/dev/null"
    return lab.exec(VICTIM, ["sh", "-c", look], user="root").stdout


def test_a_record_that_never_ends_installs_nothing_and_dies_with_its_caller(steady: Lab) -> None:
    record, before = attacker.record_of(steady), state.files(steady, VICTIM, "/rw", "/tmp")
    record["files"]["borgpass"] = "y" * 43 + "\n"

    with attacker.gate(steady, CALL, EVIL, VICTIM):
        with steady.popen(EVIL, ["qrexec-client-vm", VICTIM, CALL]) as caller:
            caller.stdin.write(spelled(record)[:-1])
            _until(lambda: _serving(steady) != b"")
            time.sleep(2)
            assert _serving(steady) != b""
            assert state.files(steady, VICTIM, "/rw", "/tmp") == before
    _until(lambda: _serving(steady) == b"")

    assert state.files(steady, VICTIM, "/rw", "/tmp") == before


def _until(so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def test_a_gate_for_another_repository_does_not_fit_this_bundle(steady: Lab) -> None:
    before, call = state.files(steady, VICTIM, "/rw", "/tmp"), "qborg.InstallBundle+qubes-personal"

    code, reply = sends(steady, spelled(attacker.record_of(steady)), call)

    assert code == 1 and "outcome=bundle-refused\n" in reply
    assert state.files(steady, VICTIM, "/rw", "/tmp") == before


CLOSED = {
    "no-gate": None,
    "gate-for-another-repository": ("qborg.InstallBundle+qubes-personal", EVIL, VICTIM),
    "gate-for-another-client": (CALL, EVIL, "personal"),
    "gate-for-another-source": (CALL, "plain", VICTIM),
    "gate-for-another-service": ("qborg.StoreRecord+qubes-work", EVIL, VICTIM),
}  # fmt: skip
GATES = attempts.named("deliver a good bundle", "denied by dom0's policy, nothing changed", CLOSED)


STORE = f"qborg.StoreRecord+qubes-{EVIL}"
UNOPENED = {
    "without-a-gate": None,
    "gate-for-another-record": ("qborg.StoreRecord+qubes-work", EVIL, VAULT),
    "gate-for-a-client": (STORE, VICTIM, VAULT),
    "gate-for-a-bundle": (CALL, EVIL, VICTIM),
    "gate-of-the-vaults-own": (f"qborg.AcceptAccount+qubes-{EVIL}", VAULT, EVIL),
}  # fmt: skip
STORES = attempts.named(
    "send the vault a good record", "denied by dom0's policy, nothing changed", UNOPENED)


@pytest.mark.parametrize("opened", CLOSED.values(), ids=CLOSED)
def test_without_its_very_own_gate_a_good_record_does_not_arrive(
    steady: Lab, opened: tuple[str, str, str] | None
) -> None:
    record = attacker.record_of(steady)
    record["files"]["borgpass"] = "y" * 43 + "\n"
    before = state.files(steady, VICTIM, "/rw", "/tmp")
    if opened is not None:
        attacker.writes(steady, attacker.GATE, attacker.line_of(steady, *opened))

    result = attacker.calls(steady, EVIL, VICTIM, CALL, spelled(record))

    attacker.removes(steady, attacker.GATE)
    assert (result.returncode, result.stdout) == (126, b"")
    assert state.files(steady, VICTIM, "/rw", "/tmp") == before


@pytest.mark.parametrize("opened", UNOPENED.values(), ids=UNOPENED)
def test_without_its_very_own_gate_the_vault_takes_nothing(
    steady: Lab, opened: tuple[str, str, str] | None
) -> None:
    kept = json.loads(steady.exec(VAULT, ["cat", f"{lost.ACCOUNT}/000001.json"], check=True).stdout)
    record = spelled({**kept, "made": str(int(kept["made"]) + 1)})
    before = state.files(steady, VAULT, "/rw", "/tmp")
    if opened is not None:
        attacker.writes(steady, attacker.GATE, attacker.line_of(steady, *opened))

    result = attacker.calls(steady, EVIL, VAULT, STORE, record)

    attacker.removes(steady, attacker.GATE)
    assert (result.returncode, result.stdout) == (126, b"")
    assert state.files(steady, VAULT, "/rw", "/tmp") == before


SOURCES = {
    "plain-to-client": ("plain", VICTIM),
    "plain-to-maintenance": ("plain", EVIL),
    "client-to-maintenance": (VICTIM, EVIL),
    "client-to-itself": (VICTIM, VICTIM),
    "client-to-dom0": (VICTIM, "dom0"),
    "client-to-dom0-by-keyword": (VICTIM, "@adminvm"),
    "client-to-the-default": (VICTIM, "@default"),
    "client-to-a-new-disposable": (VICTIM, "@dispvm"),
    "client-to-a-disposable": (VICTIM, "disp1"),
    "client-to-another-client": (VICTIM, "offline"),
    "client-to-its-netvm": (VICTIM, "sys-firewall"),
    "client-to-its-template": (VICTIM, "debian-13"),
    "maintenance-to-client": (EVIL, VICTIM),
    "maintenance-to-itself": (EVIL, EVIL),
    "maintenance-to-dom0": (EVIL, "dom0"),
    "maintenance-to-a-stranger": (EVIL, "plain"),
    "netvm-to-maintenance": ("sys-firewall", EVIL),
    "plain-to-vault": ("plain", VAULT),
    "client-to-vault": (VICTIM, VAULT),
    "maintenance-to-vault": (EVIL, VAULT),
    "vault-to-client": (VAULT, VICTIM),
    "vault-to-maintenance": (VAULT, EVIL),
    "vault-to-itself": (VAULT, VAULT),
    "vault-to-dom0": (VAULT, "dom0"),
    "disposable-to-client": ("disp1", VICTIM),
    "disposable-to-maintenance": ("disp1", EVIL),
    "disposable-to-dom0": ("disp1", "dom0"),
}
CALLS = attempts.named("call each of our services", "denied by dom0's policy", SOURCES)


@pytest.mark.parametrize(("source", "target"), SOURCES.values(), ids=SOURCES)
def test_no_qube_may_call_any_service_of_ours(steady: Lab, source: str, target: str) -> None:
    before = {name: state.files(steady, name, "/rw") for name in PLACES}
    services = steady.exec(VICTIM, ["ls", "/etc/qubes-rpc"], check=True).stdout.decode().split()
    ours = {name for name in services if name.startswith("qborg.")}

    codes = {
        call: attacker.calls(steady, source, target, call, b"{}").returncode
        for name in ours
        for call in (f"{name}+", f"{name}+qubes-work")
    }

    assert ours == {row.full_name for row in SERVICES.values()}
    assert set(codes.values()) == {126}
    assert {name: state.files(steady, name, "/rw") for name in PLACES} == before


def test_dom0s_own_services_refuse_a_qube_even_where_a_careless_policy_lets_it(steady: Lab) -> None:
    before = {name: state.files(steady, name, "/rw") for name in PLACES}
    dom0s = [row.full_name for row in SERVICES.values()
             if row.callers == (Role.DOM0,)]
    careless = "/etc/qubes/policy.d/30-user.policy"
    lines = "".join(f"{name} * @anyvm @anyvm allow\n" for name in dom0s)
    attacker.writes(steady, careless, lines.encode(), user="root")
    request = b'{"nonce":"' + b"0" * 32 + b'"}'

    replies = {
        (name, target): attacker.calls(steady, "plain", target, f"{name}+qubes-work", request)
        for name in dom0s
        for target in PLACES
    }

    attacker.removes(steady, careless, user="root")
    for result in replies.values():
        assert result.returncode == 1 and b"\noutcome=wrong-caller\n" in result.stdout
    assert {name: state.files(steady, name, "/rw") for name in PLACES} == before


def test_a_good_record_is_accepted_once_and_the_old_one_stays_until_proved(enrolled: Lab) -> None:
    same, other = attacker.record_of(enrolled), attacker.record_of(enrolled)
    private, public = other_pair(enrolled)
    other["files"] |= {KEY: private, f"{KEY}.pub": public}
    digest = hashlib.sha256(spelled(other)).hexdigest()

    assert sends(enrolled, spelled(same))[1].endswith("changed=no\naside=no\n")
    accepted = [sends(enrolled, spelled(other)) for _time in range(2)]

    assert accepted == [
        (0, reply_to(spelled(other), "ok", f"bundle={digest}", f"changed={changed}", "aside=no"))
        for changed in ("yes", "no")
    ]
    assert attacker.record_of(enrolled) == other
    assert _generations(enrolled) == ["1", "2"]
    person.runs(enrolled, "qvm-borg-enroll", "work", "--no-escrow")
    assert attacker.record_of(enrolled) == same
    assert _generations(enrolled) == ["3"]


def _generations(lab: Lab) -> list[str]:
    listed = lab.exec(VICTIM, ["ls", "/home/user/.ssh/backups.d"], check=True)
    return listed.stdout.decode().split()
