"""An account that has only a password so far: it is typed once, and never in dom0."""

import time

from lab import Lab
from scenarios import bent, person, state, typist
from scenarios.typist import KEEPER, PASSWORD

KEYS = f"{person.HOME}/{person.KEYS}"
# Without an end, so that a line put after it must not be glued to it.
FOREIGN = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKv8PkzJ7pmGNAnMPrCwTEu5qVdKmMgWz9pqGf8T2m3x nas"
ZENITY = b"#!/bin/sh\necho asked >> /tmp/asked\ncat /tmp/typed\n"


def _log(lab: Lab) -> str:
    return lab.server.exec(["cat", "/rw/ssh/sshd.log"], check=True).stdout.decode()


def _has_keys(lab: Lab, content: bytes) -> None:
    lab.exec("server", ["dd", "status=none", f"of={KEYS}"], user="zh1234", input=content,
             check=True)  # fmt: skip


def test_a_password_typed_at_a_terminal_leads_to_an_enrolled_qube(waiting: Lab) -> None:
    _has_keys(waiting, FOREIGN)
    tool = typist.begins(waiting)
    wrong = typist.types(waiting, b"wrong")
    assert wrong[0] == 1 and "error: password-refused" in wrong[1] and "hint: " in wrong[1]

    assert typist.types(waiting, PASSWORD) == (0, "the server accepts the admin key\n")

    assert "borg14" in typist.ends(tool, 0)
    lines = waiting.server.exec(["cat", KEYS], check=True).stdout.split(b"\n")
    assert lines[0] == FOREIGN and lines[1].endswith(b" qubes-borg-admin qubes") and len(lines) == 3
    assert waiting.server.exec(["stat", "-c", "%a", KEYS]).stdout == b"600\n"
    assert waiting.server.exec(["test", "-d", f"{person.HOME}/repos"]).returncode == 0
    before = _log(waiting).count("Accepted password")
    assert before == 1
    person.runs(waiting, "qvm-borg-enroll", "work", "--no-escrow")
    assert _log(waiting).count("Accepted password") == 1


def test_a_person_at_a_real_terminal_is_asked_without_an_echo(waiting: Lab) -> None:
    tool = typist.begins(waiting)

    with waiting.popen(KEEPER, ["script", "-qec", "qborg-admin login", "/dev/null"]) as terminal:
        asked = b""
        while not asked.endswith(b"Password of zh1234 at backup.example: "):
            asked += terminal.stdout.read(1)
        # Nobody else has to wait for the person.
        lock = "/home/user/.local/share/qubes-borg/lock"
        assert waiting.exec(KEEPER, ["flock", "--nonblock", lock, "true"]).returncode == 0
        shown, _errors = terminal.communicate(PASSWORD + b"\n", 120)

    assert terminal.returncode == 0 and b"the server accepts the admin key" in shown
    assert PASSWORD not in asked + shown
    typist.ends(tool, 0)


def _has_windows(lab: Lab, zenity: bytes) -> None:
    lab.exec(KEEPER, ["dd", "status=none", "of=/usr/bin/zenity"], user="root", input=zenity,
             check=True)  # fmt: skip
    # What the graphical session gives to the services that it starts.
    display = "chmod 755 /usr/bin/zenity; echo 'export DISPLAY=:0' > /etc/profile.d/display.sh"
    bent.root_does(lab, KEEPER, display)


def test_a_window_closes_once_the_password_was_typed_at_a_terminal(waiting: Lab) -> None:
    _has_windows(waiting, b"#!/bin/sh\nexec sleep 4321\n")
    tool, window = typist.begins(waiting), ["pgrep", "-f", "sleep 4321"]
    deadline = time.monotonic() + 300
    while waiting.exec(KEEPER, window).returncode != 0:
        assert time.monotonic() < deadline

    assert typist.types(waiting, PASSWORD)[0] == 0

    typist.ends(tool, 0)
    assert waiting.exec(KEEPER, window).returncode == 1


def test_a_killed_set_ups_window_closes_once_the_next_one_is_done(waiting: Lab) -> None:
    once = b"[ -e /tmp/once ] || { touch /tmp/once; exec sleep 4321; }"
    _has_windows(waiting, b"#!/bin/sh\n%s\ncat /tmp/typed\n" % once)
    waiting.exec(KEEPER, ["dd", "status=none", "of=/tmp/typed"], input=PASSWORD + b"\n", check=True)
    tool, window = typist.begins(waiting), ["pgrep", "-f", "sleep 4321"]
    deadline = time.monotonic() + 300
    while waiting.exec(KEEPER, window).returncode != 0:
        assert time.monotonic() < deadline
    tool.kill()
    tool.close()
    assert waiting.exec(KEEPER, window).returncode == 0

    person.runs(waiting, "qvm-borg-setup", "--password")

    deadline = time.monotonic() + 30
    while waiting.exec(KEEPER, window).returncode == 0:
        assert time.monotonic() < deadline


def test_a_password_typed_in_a_window(waiting: Lab) -> None:
    _has_windows(waiting, ZENITY)
    waiting.exec(KEEPER, ["dd", "status=none", "of=/tmp/typed"], input=PASSWORD + b"\n", check=True)

    said = person.runs(waiting, "qvm-borg-setup", "--password")

    assert "Type the password of" in said and PASSWORD.decode() not in said
    assert waiting.exec(KEEPER, ["cat", "/tmp/asked"]).stdout == b"asked\n"


def test_a_key_that_is_accepted_already_asks_nobody(waiting: Lab) -> None:
    tool = typist.begins(waiting)
    typist.types(waiting, PASSWORD)
    typist.ends(tool, 0)

    assert typist.types(waiting, b"not needed") == (0, "the server accepts the admin key already\n")
    assert "nothing was changed" in person.runs(waiting, "qvm-borg-setup", "--password")


def test_another_server_before_the_login_is_told(waiting: Lab) -> None:
    tool = typist.begins(waiting)
    bent.listens_in(waiting, KEEPER)

    code, said = typist.types(waiting, PASSWORD)

    assert code == 1 and "error: host-key-changed" in said
    assert "host key is not the confirmed one" in typist.ends(tool, 16)


def test_another_server_amid_the_login_never_hears_the_password(waiting: Lab) -> None:
    tool = typist.begins(waiting)
    bent.listens_in_on_the_password(waiting, KEEPER)

    code, said = typist.types(waiting, PASSWORD)

    heard = bent.heard(waiting, KEEPER)
    assert "Connection from 127.0.0.1" in heard
    assert "userauth-request" not in heard, "whoever tries to log in says so first, in each way"
    assert code == 1 and "error: host-key-changed" in said
    assert "host key is not the confirmed one" in typist.ends(tool, 16)


def test_without_a_first_set_up_the_command_says_what_to_do(waiting: Lab) -> None:
    removed = "rm -f .local/share/qubes-borg/pending.json .local/share/qubes-borg/settings.json"
    waiting.exec(KEEPER, ["sh", "-c", removed], check=True)

    code, said = typist.types(waiting, PASSWORD)

    assert code == 1 and "qvm-borg-setup --server" in said


def test_a_set_up_that_is_killed_while_it_waits_goes_on(waiting: Lab) -> None:
    tool = typist.begins(waiting)
    tool.kill()
    tool.close()

    assert typist.types(waiting, PASSWORD)[0] == 0

    assert "borg14" in person.runs(waiting, "qvm-borg-setup")
    assert state.gates(waiting) == []


def test_a_key_with_a_passphrase_is_unlocked_once_for_each_start(waiting: Lab) -> None:
    make = ["sh", "-euc", "ssh-keygen -q -t ed25519 -N 'my phrase' -f .ssh-mine; "
            "qborg-admin import .ssh-mine"]  # fmt: skip
    waiting.exec(KEEPER, make, check=True)
    unlock = ["qborg-admin", "unlock", "--passphrase-fd", "0"]
    locked = person.is_refused(waiting, "qvm-borg-setup", code=26, says="the admin key is locked")
    assert "qborg-admin unlock" in locked
    assert waiting.exec(KEEPER, unlock, input=b"wrong\n").returncode == 1
    assert waiting.exec(KEEPER, unlock, input=b"my phrase\n").returncode == 0
    tool = typist.begins(waiting)
    assert typist.types(waiting, PASSWORD)[0] == 0
    typist.ends(tool, 0)
    person.runs(waiting, "qvm-borg-enroll", "work", "--no-escrow")

    waiting.do("shutdown", KEEPER)
    waiting.do("start", KEEPER)

    row = ("qvm-borg-enroll", "work", "--no-escrow")
    person.is_refused(waiting, *row, code=26, says="the admin key is locked")
    again = waiting.exec(KEEPER, unlock, input=b"my phrase\n")
    assert again.returncode == 0, again
    assert "nothing was changed" in person.runs(waiting, *row)
