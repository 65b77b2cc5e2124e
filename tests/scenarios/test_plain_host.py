"""A host without Qubes: its bundle made in the maintenance qube, installed by hand, backed up.

The host is a machine of the lab from which QubesDB is taken, with a host name of its own.
"""

import pytest

from lab import Lab
from scenarios import attacker, bent, old_world, person, state

HOST, DIR, MAKE = "laptop2", "/home/user/laptop2", "qborg-host-bundle"
_PLAIN = "rm /usr/bin/qubesdb-read; hostname laptop2"


def _carries(lab: Lab) -> None:
    made = lab.exec("borg-maintenance", ["tar", "-c", "-C", "/home/user", HOST], check=True)
    lab.exec("personal", ["tar", "-x", "-C", "/home/user"], input=made.stdout, check=True)


def _fails(lab: Lab, qube: str, *command: str) -> str:
    ended = lab.exec(qube, list(command))
    said = ended.stderr.decode()
    assert ended.returncode == 1, said
    assert said.startswith("error: ") and said.count("\nhint: ") == 1 and "Traceback" not in said
    return said


def test_a_plain_host_installs_its_bundle_and_backs_up(ready: Lab) -> None:
    ready.exec("borg-maintenance", [MAKE, HOST, DIR], check=True)
    ready.do("start", "personal")
    bent.root_does(ready, "personal", _PLAIN)
    _carries(ready)

    first = ready.exec("personal", [f"{DIR}/install"], check=True).stdout
    again = ready.exec("personal", [f"{DIR}/install"], check=True).stdout

    assert (first, again) == (b"qubes-laptop2: installed\n", b"nothing was changed\n")
    ready.exec("personal", ["qborg-run"], check=True)
    listed = ready.exec("personal", ["borgbak", "list", "--short"], check=True).stdout
    assert listed.startswith(b"laptop2-")
    assert b"qborg-run --scheduled" in ready.exec("personal", ["crontab", "-l"]).stdout
    assert "repos/qubes-laptop2\"" in old_world.keys(ready)


def test_a_bundle_that_was_wiped_is_made_anew_and_a_lost_host_is_revoked(ready: Lab) -> None:
    ready.exec("borg-maintenance", [MAKE, HOST, DIR], check=True)
    bundle = ready.exec("borg-maintenance", ["cat", f"{DIR}/bundle.json"], check=True).stdout
    ready.exec("borg-maintenance", ["rm", "-r", DIR], check=True)

    ready.exec("borg-maintenance", [MAKE, HOST, DIR], check=True)

    again = ready.exec("borg-maintenance", ["cat", f"{DIR}/bundle.json"], check=True).stdout
    assert again == bundle
    said = person.runs(ready, "qvm-borg-revoke", f"qubes-{HOST}")
    assert "kept: key and passphrase in borg-maintenance" in said
    assert "repos/qubes-laptop2" not in old_world.keys(ready)


def test_what_is_not_its_own_or_bent_is_refused(ready: Lab) -> None:
    ready.exec("borg-maintenance", [MAKE, HOST, DIR], check=True)
    ready.do("start", "personal")
    _carries(ready)
    before = state.files(ready, "personal", "/rw")

    in_a_qube = _fails(ready, "personal", f"{DIR}/install")
    bent.root_does(ready, "personal", _PLAIN.replace("laptop2", "laptop3"))
    elsewhere = _fails(ready, "personal", f"{DIR}/install")

    assert "a qube gets its bundle by" in in_a_qube and "for another qube" in elsewhere
    assert state.files(ready, "personal", "/rw") == before
    bent.root_does(ready, "personal", "hostname laptop2")
    good = ready.exec("personal", ["cat", f"{DIR}/bundle.json"], check=True).stdout
    hook = good.replace(b"BatchMode yes", b"BatchMode yes\\n    ProxyCommand id")
    attacker.writes(ready, f"{DIR}/bundle.json", hook, "personal")
    bent.root_does(ready, "personal", f"truncate -s {len(hook)} {DIR}/bundle.json")
    assert "differs from this package's skeleton" in _fails(ready, "personal", f"{DIR}/install")
    assert ready.exec("personal", ["ls", ".ssh/backups"]).returncode != 0


@pytest.mark.parametrize(("words", "says"), [
    (("work", DIR), "qubes-work is a qube's"), ((HOST, "/home/user"), "a new or an empty one"),
    ((HOST, "/nowhere/laptop2"), "No such file"),
], ids=["an-enrolled-qube", "directory-in-use", "no-parent"])  # fmt: skip
def test_what_it_cannot_make_is_told(enrolled: Lab, words: tuple[str, str], says: str) -> None:
    before = old_world.keys(enrolled)

    assert says in _fails(enrolled, "borg-maintenance", MAKE, *words)

    assert old_world.keys(enrolled) == before


def test_a_hosts_name_is_no_qubes(ready: Lab) -> None:
    ready.exec("borg-maintenance", [MAKE, "personal", DIR], check=True)

    said = person.is_refused(ready, "qvm-borg-enroll", "personal", "--no-escrow", code=19,
                             says="its repository exists")  # fmt: skip

    assert state.gates(ready) == [] and "another key" in said
