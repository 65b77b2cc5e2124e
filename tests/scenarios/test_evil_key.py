"""An evil client that makes its keys itself, and shows one that no list of keys may get.

It harms its own enrolment alone: others are enrolled and revoked meanwhile.
"""

from dataclasses import dataclass

import pytest

from lab import Lab
from qborg_wire.names import fingerprint
from scenarios import attacker, person, rehearsal
from scenarios.attempts import Attempt
from scenarios.person import HOME, KEYS

EVIL = "personal"
LAPTOP = rehearsal.OTHER.decode()
ENROL = ("qvm-borg-enroll", EVIL, "--keys", "client")
_MAKE = """
import qubesadmin
qubesadmin.Qubes().add_new_vm("AppVM", "mail", "yellow", "debian-13")
"""


@dataclass(frozen=True)
class Shown(Attempt):
    """A key that it shows, the exit code, and what dom0 says."""

    key: str
    code: int
    says: str


_ITSELF = "its enrolment is refused and named; other qubes are enrolled and revoked"
SHOWN = {
    "no-rsa-key": Shown(
        "show as its key what only looks like one", _ITSELF,
        "ssh-rsa AAAAB3NzaC1yc2EA" + "A" * 360, 25,
        f"qubes-{EVIL} has shown what ssh takes for no key"),
    "the-persons-own": Shown(
        "show as its key one that a person has among the server's keys", f"{_ITSELF}; that line "
        "stays as it is", LAPTOP, 17, f"the key of qubes-{EVIL} also stands outside our block"),
}


@pytest.mark.parametrize("row", SHOWN.values(), ids=SHOWN)
def test_it_stops_its_own_enrolment_alone(escrowed: Lab, row: Shown) -> None:
    rehearsal.add_line(escrowed, f"{LAPTOP} laptop\n".encode())
    escrowed.run(["python3", "-c", _MAKE], check=True)
    escrowed.do("start", EVIL)
    attacker.shadows(escrowed, "qborg.PrepareBundle", *attacker.says(
        f"nonce=@NONCE@\noutcome=ok\npublic_key={row.key}\nfingerprint={fingerprint(row.key)}\n"
        "created=yes\nstate=pending\n"), qube=EVIL)

    attacker.is_seen_through(escrowed, *ENROL, code=row.code, says=row.says)

    person.runs(escrowed, "qvm-borg-enroll", "mail")
    person.runs(escrowed, "qvm-borg-revoke", "work")
    published = escrowed.server.exec(["cat", f"{HOME}/{KEYS}"], check=True).stdout.decode()
    assert published.count(row.key) == (row.key == LAPTOP)
    assert published.count(" qubes-mail\n") == 1 and "qubes-work" not in published
    if row.key != LAPTOP:  # else dom0 goes on to expect the key that it was told
        attacker.repents(escrowed, EVIL)
        person.runs(escrowed, *ENROL)
