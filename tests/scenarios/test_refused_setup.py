"""The first set-up asked for with wrong words. Each row leaves everything as it was."""

import pytest

from lab import Lab
from scenarios import bent, person, state
from scenarios.refusal import Refused, changes_nothing

SETUP = "qvm-borg-setup"
SERVER = ("--server", person.SERVER)
# The exit codes of qvm_borg/errors.py, written out: 2 usage, 3 SettingsError, 5 QubeUnavailable,
# 22 TemplateError.
SERVERS = {
    "no-account": "backup.example",
    "empty-account": "@backup.example",
    "empty-host": "zh1234@",
    "port-zero": "zh1234@backup.example:0",
    "port-too-high": "zh1234@backup.example:65536",
    "port-endless": "zh1234@backup.example:222222",
    "two-ports": "zh1234@backup.example:22:22",
    "blank": "zh1234@back up.example",
    "upper-case-account": "ZH1234@backup.example",
    "url": "ssh://zh1234@backup.example",
    "two-hosts": "zh1234@backup.example@other.example",
    "option-of-ssh": "-oProxyCommand=sh@backup.example",
    "empty": "",
}
WORDS = {
    "machine-with-a-dash": ("--machine", "my-laptop"),
    "machine-in-upper-case": ("--machine", "Laptop"),
    "machine-with-a-digit-first": ("--machine", "1st"),
    "machine-too-long": ("--machine", "x" * 17),
    "machine-empty": ("--machine", ""),
    "fingerprint-of-md5": ("--fingerprint", "MD5:00:11:22"),
    "fingerprint-cut": ("--fingerprint", "SHA256:abc"),
    "fingerprint-too-long": ("--fingerprint", "SHA256:" + "A" * 44),
    "remote-borg-is-a-path": ("--remote-borg", "/bin/sh"),
    "remote-borg-is-two-words": ("--remote-borg", "borg serve"),
    "wait-is-no-number": ("--wait", "soon"),
    "label-unknown": ("--label", "pink"),
    "netvm-is-dom0": ("--netvm", "dom0"),
    "maintenance-is-dom0": ("--maintenance", "dom0"),
    "maintenance-is-reserved": ("--maintenance", "backup-dm"),
    "maintenance-too-long": ("--maintenance", "x" * 32),
}
CHOICES = {
    "no-server": Refused((), 3, "which server?"),
    "no-server-but-words": Refused(("--machine", "laptop"), 3, "which server?"),
    "unknown-template": Refused((*SERVER, "--template", "nothing"), 5, "no qube named nothing"),
    "template-is-none": Refused((*SERVER, "--template", "work"), 3, "work is no template"),
    "template-without-services": Refused(
        (*SERVER, "--template", "bare"), 22, "bare does not offer the services"),
    "unknown-netvm": Refused((*SERVER, "--netvm", "nothing"), 5, "no qube named nothing"),
    "netvm-without-network": Refused((*SERVER, "--netvm", "work"), 3, "work provides no network"),
    "somebody-elses-qube": Refused(
        (*SERVER, "--maintenance", "work"), 3, "a qube named work exists"),
    "a-template": Refused(
        (*SERVER, "--maintenance", "debian-13"), 3, "a qube named debian-13 exists"),
    "unknown-option": Refused((*SERVER, "--force"), 2, "arguments: --force"),
    "a-qube": Refused((*SERVER, "work"), 2, "arguments: work"),
}
LOCK = "/home/user/.local"


@pytest.fixture(scope="module")
def before(world: Lab) -> state.State:
    """The whole state of a machine where a command was refused once: the lock is all it left."""
    world.faults.clear()
    world.restore("fresh")
    world.do("start", "sys-firewall")
    untouched = state.everything(world)
    person.is_refused(world, SETUP, code=3, says="which server?")
    known = state.everything(world)
    left = state.changes(untouched, known)
    assert left and all(line.startswith(f"/dom0/{LOCK}") for line in left), left
    return known


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_a_server_that_is_none(world: Lab, before: state.State, server: str) -> None:
    row = Refused(("--server", server), 2, "argument --server")

    changes_nothing(world, SETUP, row, before)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_a_word_of_the_wrong_shape(
    world: Lab, before: state.State, words: tuple[str, str]
) -> None:
    row = Refused((*SERVER, *words), 2, f"argument {words[0]}")

    changes_nothing(world, SETUP, row, before)


@pytest.mark.parametrize("row", CHOICES.values(), ids=CHOICES)
def test_a_choice_that_cannot_be_made(world: Lab, before: state.State, row: Refused) -> None:
    changes_nothing(world, SETUP, row, before)


@pytest.mark.parametrize("command", ["qvm-borg-enroll", "qvm-borg-backup", "qvm-borg-restore"])
def test_nothing_else_before_the_set_up(
    world: Lab, before: state.State, command: str
) -> None:
    words, code, says = {
        "qvm-borg-enroll": (("work", "--no-escrow"), 3, "the set-up is not done"),
        "qvm-borg-backup": (("work",), 24, "work is not enrolled"),
        "qvm-borg-restore": (("work", "/a", "--to-directory", "/b"), 24, "work is not enrolled"),
    }[command]

    changes_nothing(world, command, Refused(words, code, says), before)


def test_a_default_template_without_services(fresh: Lab) -> None:
    person.is_refused(fresh, SETUP, code=3, says="which server?")
    bent.in_dom0(fresh, "app.default_template = 'bare'")

    row = Refused(SERVER, 22, "bare does not offer the services")
    assert "--template" in changes_nothing(fresh, SETUP, row)
