"""A client's one line: exactly what it must be, and never more than one line of one key."""

import pytest

from qborg_wire.key_line import restricted_line
from qborg_wire.names import NameRefused, Repository
from unit.maintenance.example import key

HEAD = 'command="borg14 serve --append-only --restrict-to-repository repos/dom-work'


def test_a_line_restricts_a_key_to_one_repository() -> None:
    line = restricted_line("borg14", Repository("dom", "work"), key(2))

    assert line == f'{HEAD}",restrict {key(2)} dom-work'


@pytest.mark.parametrize("quota", ["10M", "999999M", "1G", "500G", "2T"])
def test_a_quota_stands_inside_the_forced_command(quota: str) -> None:
    line = restricted_line("borg14", Repository("dom", "work"), key(2), quota)

    assert line == f'{HEAD} --storage-quota {quota}",restrict {key(2)} dom-work'


QUOTAS = ["", "0", "5M", "0G", "01G", "1000000M", "1g", "1 G", "1G\n", '1G"', "-1G", "1.5G", "1GB"]


@pytest.mark.parametrize("quota", QUOTAS)
def test_a_quota_that_is_no_size_is_not_rendered(quota: str) -> None:
    with pytest.raises(NameRefused):
        restricted_line("borg14", Repository("dom", "work"), key(2), quota)


INJECTED_KEYS = {
    "newline": key(2) + "\n" + key(4),
    "final-newline": key(2) + "\n",
    "carriage-return": key(2) + "\r",
    "nul": key(2) + "\0",
    "tab": key(2).replace(" ", "\t"),
    "second-key": key(2) + " " + key(4),
    "comment": key(2) + " me@here",
    "options-first": 'command="id" ' + key(2),
    "environment": 'environment="LD_PRELOAD=x" ' + key(2),
    "authority": "cert-authority " + key(2),
    "certificate": "ssh-ed25519-cert-v01@openssh.com " + key(2).split(" ")[1],
    "security-key": "sk-ssh-ed25519@openssh.com " + key(2).split(" ")[1],
    "type-and-blob-differ": "ssh-rsa " + key(2).split(" ")[1],
    "dss": key(2).replace("ssh-ed25519", "ssh-dss"),
    "cut": key(2)[:-1],
    "too-long": key(2) + "A" * 4,
    "over-long": "ssh-rsa AAAAB3NzaC1yc2EA" + "A" * 5000,
    "look-alike": key(2).replace("A", "\u0410", 1),
    "fullwidth": key(2).replace("ssh", "\uff53sh"),
    "quote": key(2)[:-1] + '"',
    "backslash": key(2)[:-1] + "\\",
    "empty": "",
}


@pytest.mark.parametrize("public_key", INJECTED_KEYS.values(), ids=INJECTED_KEYS)
def test_a_key_that_is_more_than_a_key_is_not_rendered(public_key: str) -> None:
    with pytest.raises(NameRefused):
        restricted_line("borg14", Repository("dom", "work"), public_key)


INJECTED_NAMES = {
    "newline": "work\nx", "final-newline": "work\n", "carriage-return": "work\r", "nul": "wo\0rk",
    "tab": "wo\trk", "space": "wo rk", "quote": 'work"', "backslash": "work\\", "dash": "-work",
    "dots": "..", "slash": "a/b", "up": "../work", "look-alike": "w\u043erk", "empty": "",
    "over-long": "w" * 32, "comma": "work,pty", "dollar": "$HOME", "percent": "%u", "dom0": "dom0",
    "semicolon": "work;id", "star": "*",
}  # fmt: skip


@pytest.mark.parametrize("qube", INJECTED_NAMES.values(), ids=INJECTED_NAMES)
def test_a_name_that_is_more_than_a_name_is_not_rendered(qube: str) -> None:
    with pytest.raises(NameRefused):
        restricted_line("borg14", Repository("dom", qube), key(2))


@pytest.mark.parametrize("program", ["", "/bin/sh", "borg;id", "borg 14", 'b"', "-c", "b\n", "B"])
def test_a_program_that_is_more_than_a_name_is_not_rendered(program: str) -> None:
    with pytest.raises(NameRefused):
        restricted_line(program, Repository("dom", "work"), key(2))
