"""An account with sftp and borg, at another port, whose password PAM asks for: no shell at all."""

import json
from collections.abc import Iterator

import pytest

from lab import Lab
from scenarios import crowd, person, typist
from scenarios.typist import KEEPER, PASSWORD

KEYS = f"{person.HOME}/{person.KEYS}"
FOREIGN = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKv8PkzJ7pmGNAnMPrCwTEu5qVdKmMgWz9pqGf8T2m3x nas\n"
ENROLL = ("qvm-borg-enroll", "work", "--no-escrow")
# While our block stands there, sshd takes no key from a home that others may write to.
SULKS = f"""until grep -q BEGIN {KEYS}; do :; done
chmod 777 {person.HOME}
while grep -q BEGIN {KEYS}; do :; done
chmod 755 {person.HOME}
"""
STALLS = f"""until grep -q BEGIN {KEYS}; do :; done
kill -STOP "$(cat /run/sshd.pid)"
"""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with such an account, before and after the set-up."""
    more = ("interactive = true", 'offers = "sftp"', "port = 23")
    with Lab.up(typist.world(tmp_path_factory.mktemp("world"), *more)) as lab:
        typist.makes_the_keeper(lab, f"{person.SERVER}:23")
        lab.exec("server", ["dd", f"of={KEYS}"], user="zh1234", input=FOREIGN, check=True)
        lab.snapshot("waiting")
        tool = typist.begins(lab)
        assert typist.types(lab, PASSWORD)[0] == 0
        typist.ends(tool, 0)
        lab.do("start", KEEPER)
        lab.snapshot("ready")
        yield lab


@pytest.fixture
def waiting(account: Lab) -> Lab:
    """Before any password was typed."""
    account.restore("waiting")
    return account


@pytest.fixture
def ready(account: Lab) -> Lab:
    """Set up."""
    account.restore("ready")
    return account


def _keys(lab: Lab) -> bytes:
    return lab.server.exec(["cat", KEYS], check=True).stdout


def test_the_password_is_given_in_the_dialogue_and_the_account_is_recorded(waiting: Lab) -> None:
    tool = typist.begins(waiting)
    code, said = typist.types(waiting, b"wrong")
    assert code == 1 and "error: password-refused" in said and "hint: " in said

    assert typist.types(waiting, PASSWORD) == (0, "the server accepts the admin key\n")

    said = typist.ends(tool, 0)
    assert "the account: provider generic, access sftp, keys ours, snapshots unknown" in said
    log = waiting.server.exec(["cat", "/rw/ssh/sshd.log"], check=True).stdout
    assert log.count(b"Accepted keyboard-interactive/pam") == 1
    assert b"Accepted password" not in log
    assert _keys(waiting).startswith(FOREIGN) and _keys(waiting).count(b"\n") == 2
    assert waiting.server.exec(["stat", "-c", "%a", KEYS]).stdout == b"600\n"


def test_an_account_without_a_list_of_keys_gets_one(waiting: Lab) -> None:
    waiting.server.exec(["rm", KEYS], check=True)
    tool = typist.begins(waiting)

    assert typist.types(waiting, PASSWORD) == (0, "the server accepts the admin key\n")

    typist.ends(tool, 0)
    assert _keys(waiting).count(b"\n") == 1
    assert waiting.server.exec(["stat", "-c", "%a", KEYS]).stdout == b"600\n"


def test_an_enrolment_over_sftp_keeps_every_foreign_line(ready: Lab) -> None:
    before = _keys(ready)

    said = person.runs(ready, *ENROLL)

    assert "work: enrolled as qubes-work" in said and "a file was read back" in said
    after = _keys(ready)
    assert after.startswith(before) and after.count(b"restrict ssh-ed25519") == 1
    assert ready.server.exec(["stat", "-c", "%a %U", KEYS]).stdout == b"600 zh1234\n"
    left = ready.server.exec(["ls", f"{person.HOME}/.ssh"], check=True).stdout.split()
    assert left == [b"authorized_keys", b"authorized_keys.qborg-bak"]
    assert "nothing was changed" in person.runs(ready, *ENROLL)
    crowd.joins(ready, ["q1", "q2", "q3"])
    rows = json.loads(person.runs(ready, "qvm-borg-status", "--json"))["qubes"]
    ((size, grown, server),) = {
        tuple(row["numbers"][name] for name in ("size", "grown", "server")) for row in rows}
    assert len(rows) == 4 and size > grown > 0 < server


def test_a_new_list_that_lets_nobody_in_is_rolled_back_over_sftp(ready: Lab) -> None:
    before = _keys(ready)
    with ready.popen("server", ["sh", "-c", SULKS], user="root") as sulking:
        person.is_refused(ready, *ENROLL, code=17, says="rolled back")
        sulking.wait()

    assert _keys(ready) == before
    person.runs(ready, *ENROLL)


def test_a_killed_service_is_rolled_back_over_sftp(ready: Lab) -> None:
    before = _keys(ready)
    with ready.popen("server", ["sh", "-c", STALLS], user="root") as stalling:
        tool = ready.popen("dom0", list(ENROLL), input=False)
        stalling.wait()
        ready.exec(KEEPER, ["pkill", "-KILL", "-o", "-f", "qborg.PublishKeys"], check=True)
        ready.server.exec(["sh", "-c", 'kill -CONT "$(cat /run/sshd.pid)"'], check=True)
        out, err = tool.communicate(None, 300)
        tool.close()

    assert tool.returncode != 0, out + err
    wait = "until [ ! -e .ssh/qborg-lock ]; do sleep 0.1; done"
    ready.server.exec(["sh", "-c", f"cd {person.HOME}; {wait}"], check=True)
    assert _keys(ready) == before
    person.runs(ready, *ENROLL)


def test_a_list_that_ends_in_our_broken_block_is_left_alone(ready: Lab) -> None:
    broken = _keys(ready) + b"# BEGIN qubes-borg qubes\n"
    ready.exec("server", ["dd", f"of={KEYS}"], user="zh1234", input=broken, check=True)

    person.is_refused(ready, *ENROLL, code=17, says="marker line")

    assert _keys(ready) == broken


def test_a_revoked_key_goes_and_its_repository_over_sftp(ready: Lab) -> None:
    person.runs(ready, *ENROLL)
    person.runs(ready, "qvm-borg-enroll", "personal", "--no-escrow")

    said = person.runs(ready, "qvm-borg-revoke", "work", "--delete-repository", "--yes")

    assert "repos/qubes-work is deleted" in said
    assert b"qubes-work" not in _keys(ready) and b"qubes-personal" in _keys(ready)
    left = ready.server.exec(["ls", "-A", f"{person.HOME}/repos"], check=True).stdout.split()
    assert left == [b"qubes-personal"]
    person.runs(ready, "qvm-borg-backup", "personal")
