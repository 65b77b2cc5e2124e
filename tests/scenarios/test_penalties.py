"""A server that refuses an address for a while after logins that failed, as sshd does by default.

PerSourcePenalties of sshd_config(5), since OpenSSH 9.8. All qubes of a computer are one address
for the server, so it counts them together here. Else the lab's server does not count: scenarios
make more logins that fail in a minute than a person does in a week.
"""

import json
import time
from collections.abc import Iterator

import pytest

from lab import Lab
from scenarios import person
from scenarios.conftest import WORLD

_COUNTS = r"s/^PerSourcePenalties no$/PerSourcePenalties yes\nPerSourceNetBlockSize 0/"
_LONG, _GONE = 60, 20  # seconds; a look in each five of them would be refused in the first


@pytest.fixture(scope="module")
def installed() -> Iterator[Lab]:
    """Installed, nothing run yet."""
    with Lab.up(WORLD) as lab:
        lab.do("start", "sys-firewall")
        lab.snapshot("installed")
        yield lab


@pytest.fixture
def counting(installed: Lab) -> Lab:
    """The same again, with a server that counts."""
    installed.restore("installed")
    installed.server.exec(["sed", "-i", _COUNTS, "/etc/ssh/sshd_config"], check=True)
    installed.server.stop_sshd()
    installed.server.start_sshd()
    return installed


def test_a_set_up_waits_for_its_line_whatever_the_server_does_meanwhile(counting: Lab) -> None:
    command = ("qvm-borg-setup", "--server", person.SERVER, "--fingerprint",
               person.fingerprint(counting), "--no-password", "--wait", "900")
    with counting.popen("dom0", command, input=False) as tool:
        said = b""
        for line in tool.stdout:
            said += line
            if line.startswith(b"ssh-ed25519"):
                break
        time.sleep(_LONG)
        counting.server.stop_sshd()
        time.sleep(_GONE)
        counting.server.start_sshd()
        person.adds_the_line(counting, said.decode())
        rest, error = tool.communicate(None, 300)

    assert tool.returncode == 0, said + rest + error


def test_all_qubes_of_a_computer_together_are_not_refused(counting: Lab) -> None:
    person.sets_up(counting)
    person.runs(counting, "qvm-borg-enroll", "work", "personal", "--no-escrow")
    counting.do("start", "personal")

    for _again in range(3):
        told = json.loads(person.runs(counting, "qvm-borg-status", "--json"))
        troubles = [each["name"] for row in told["qubes"] for each in row["troubles"]
                    if not each["chosen"]]
        assert troubles == []


def test_a_refusal_is_told_as_a_server_that_cannot_be_reached(counting: Lab) -> None:
    """And not as one with another host key, for it shows none."""
    person.sets_up(counting)
    login = ("ssh -i stranger -o BatchMode=yes -o StrictHostKeyChecking=no "
             "-o UserKnownHostsFile=/dev/null zh1234@backup.example")
    counting.exec("work", ["sh", "-c", "ssh-keygen -q -t ed25519 -N '' -f stranger; "
                                    f"for _ in $(seq 20); do {login} & done; wait"])

    person.is_refused(counting, "qvm-borg-enroll", "work", "--no-escrow", code=17,
                      says="cannot be reached")
