"""qvm-borg-setup run again: at every stage it goes on, and wrong words leave things as they are."""

from collections.abc import Callable

import pytest

from lab import Lab
from scenarios import bent, person, state
from scenarios.refusal import Refused, changes_nothing

SETUP = "qvm-borg-setup"
SERVER = ("--server", person.SERVER)
FORGED = "SHA256:" + "A" * 43
SETTINGS = "/home/user/.config/qubes-borg/settings.toml"
# The exit codes of qvm_borg/errors.py, written out: 3 SettingsError, 5 QubeUnavailable,
# 15 WaitingForServer, 16 HostKeyError, 17 ServerUnreachable, 18 ServerFull, 22 TemplateError.
DIFFERENT = {
    "host": (("--server", "zh1234@other.example"), "host backup.example, not other.example"),
    "account": (("--server", "root@backup.example"), "account zh1234, not root"),
    "port": (("--server", person.SERVER + ":2222"), "port 22, not 2222"),
    "machine": ((*SERVER, "--machine", "laptop"), "machine qubes, not laptop"),
    "fingerprint": (("--fingerprint", FORGED), f"not {FORGED}"),
    "template": (("--template", "bare"), "template debian-13, not bare"),
    "netvm": (("--netvm", "work"), "netvm sys-firewall, not work"),
    "label": (("--label", "red"), "label gray, not red"),
    "maintenance": (("--maintenance", "work"), "name borg-maintenance, not work"),
}
BENT: dict[str, tuple[Callable[[Lab], object], int, str]] = {
    "another-host-key": (bent.changes_the_host_key, 16, "is not the confirmed one"),
    "admin-key-gone": (bent.drops_the_admin_key, 15, "does not accept the admin key yet"),
    "sshd-down": (lambda lab: lab.server.stop_sshd(), 17, "cannot be reached"),
    "no-borg": (lambda lab: lab.server.offer(), 22, "the server has no borg"),
    "full": (lambda lab: lab.server.fill(), 18, "the server's disk is full"),
}
ANSWERS = {"no": b"n\n", "nothing": b"\n", "end-of-file": b"", "a-phrase": b"yes please\n"}


@pytest.fixture
def begun(fresh: Lab) -> Lab:
    """The first run ended at the host key, which nobody has confirmed."""
    fresh.do("start", "sys-firewall")
    person.is_refused(fresh, SETUP, *SERVER, code=16, says="is not confirmed")
    fresh.do("start", "borg-maintenance")
    return fresh


@pytest.fixture
def waiting(begun: Lab) -> Lab:
    """The host key is confirmed; the line is not at the server yet."""
    confirmed = (*SERVER, "--fingerprint", person.fingerprint(begun))
    person.runs(begun, SETUP, *confirmed, code=15)
    return begun


def _at_a_terminal(lab: Lab, answer: bytes) -> tuple[int, str]:
    command = f"{SETUP} --server {person.SERVER} --wait 0"
    result = lab.run(["script", "-qec", command, "/dev/null"], input=answer)
    return result.returncode, result.stdout.decode()


def test_a_host_key_that_nobody_confirms(begun: Lab) -> None:
    known = state.everything(begun)
    rows = (
        Refused(SERVER, 16, "the server's host key is not confirmed"),
        Refused((*SERVER, "--fingerprint", FORGED), 16, "not the fingerprint that was given"),
        Refused((), 3, "which server?"),
        Refused(("--server", "zh1234@nowhere.example"), 17, "cannot be reached"),
    )

    for row in rows:
        changes_nothing(begun, SETUP, row, known)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_at_a_terminal_only_yes_confirms(begun: Lab, answer: bytes) -> None:
    known = state.everything(begun)

    code, said = _at_a_terminal(begun, answer)

    assert (code, person.fingerprint(begun) in said) == (16, True)
    assert "Is it the one on your provider's page? [y/N]" in said
    assert said.count("error: ") == said.count("hint: ") == 1
    assert state.changes(known, state.everything(begun)) == []


def test_at_a_terminal_yes_confirms(begun: Lab) -> None:
    code, said = _at_a_terminal(begun, b"y\n")

    assert (code, "does not accept the admin key yet" in said) == (15, True)
    person.adds_the_line(begun, said.replace("\r\n", "\n"))
    assert "borg14" in person.runs(begun, SETUP)


def test_a_line_that_is_not_at_the_server_yet(waiting: Lab) -> None:
    known = state.everything(waiting)

    said = changes_nothing(
        waiting, SETUP, Refused((), 15, "does not accept the admin key yet"), known)
    again = changes_nothing(
        waiting, SETUP, Refused(SERVER, 15, "does not accept the admin key yet"), known)

    assert said == again and "\nssh-ed25519 " in said
    row = Refused(("work", "--no-escrow"), 17, "refused the login")
    changes_nothing(waiting, "qvm-borg-enroll", row, known)


def test_what_is_set_is_never_changed_by_an_option(ready: Lab) -> None:
    known = state.everything(ready)

    for words, says in DIFFERENT.values():
        said = changes_nothing(ready, SETUP, Refused(words, 3, says), known)
        assert "hint: leave the option out to go on" in said


def test_the_same_options_again_change_nothing(enrolled: Lab) -> None:
    known = state.everything(enrolled)
    words = (*SERVER, "--machine", "qubes", "--fingerprint", person.fingerprint(enrolled),
             "--template", "debian-13", "--netvm", "sys-firewall", "--label", "gray",
             "--maintenance", "borg-maintenance", "--remote-borg", "borg14")

    for again in ((), words):
        assert "nothing was changed" in person.runs(enrolled, SETUP, *again)
    assert state.changes(known, state.everything(enrolled)) == []


@pytest.mark.parametrize(("bend", "code", "says"), BENT.values(), ids=BENT)
def test_a_server_that_is_not_as_it_was(
    ready: Lab, bend: Callable[[Lab], object], code: int, says: str
) -> None:
    bend(ready)

    changes_nothing(ready, SETUP, Refused((), code, says))


def test_a_maintenance_qube_without_network(ready: Lab) -> None:
    ready.do("shutdown", "borg-maintenance")
    bent.in_dom0(ready, "app.domains['borg-maintenance'].netvm = None")

    row = Refused((), 5, "borg-maintenance has no netvm")
    assert "qvm-prefs borg-maintenance netvm" in changes_nothing(ready, SETUP, row)


def test_a_maintenance_qube_from_an_older_backup(world: Lab, ready: Lab) -> None:
    older = bent.saved_maintenance(ready)
    world.restore("enrolled")
    bent.brings_maintenance_back(world, older)

    changes_nothing(world, SETUP, Refused((), 3, "the server knows a later state"))


def test_a_new_host_key_that_the_person_confirms_is_taken_everywhere(enrolled: Lab) -> None:
    bent.changes_the_host_key(enrolled)
    row = Refused(("--fingerprint", person.fingerprint(enrolled)), 3, "the set-up has host_key")
    assert f"or edit {SETTINGS}" in changes_nothing(enrolled, SETUP, row)

    line = f's|^host_key.*|host_key = "{person.fingerprint(enrolled)}"|'
    enrolled.run(["sed", "-i", line, SETTINGS], check=True)
    person.runs(enrolled, SETUP)
    person.runs(enrolled, "qvm-borg-enroll", "work", "--no-escrow")

    person.runs(enrolled, "qvm-borg-backup", "work")
