"""An evil server while a qube is enrolled: it floods, lies and changes its mind.

Every row ends with one of dom0's own errors, and once the server is honest again the enrolment
goes on: nothing that it said was believed for longer.
"""

import re
from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import attacker, bent, evil_server, person
from scenarios.attacker import EVIL, QUICK
from scenarios.attempts import Attempt
from scenarios.person import HOME, KEYS

ENROL = ("qvm-borg-enroll", "work", "--no-escrow")
ESC = r"printf '\033]0;owned\007\033[2J\033[31mOWNED'"
READ, PROBE, SWAP = f"'cat {KEYS}'", "'borg14 --version'", f"'mv {KEYS}.qborg-new '*"
SESSION = "cat"  # what holds the living session


@pytest.fixture(scope="module")
def turned(world: Lab) -> Lab:
    """Set up; what the server is from now on is up to each row."""
    world.faults.clear()
    world.restore("ready")
    return world


def _block(epoch: int, machine_id: str = "0" * 32, name: str = "other") -> str:
    begin = f"# BEGIN qubes-borg {name} {machine_id} epoch={epoch}"
    return f"{begin}\\n# END qubes-borg {name} {machine_id}\\n"


@dataclass(frozen=True)
class Turn(Attempt):
    """Which commands the evil shell answers by which script, and how the enrolment ends."""

    cases: tuple[tuple[str, str], ...]
    code: int = 17
    seconds: float = 2 * QUICK
    stays: bool = True  # authorized_keys, as it was


_LEFT = "exit code 17; authorized_keys is left, or put back, as it was"
_LIMIT = "cut at 256 KiB: exit code 17"
_BORG = "exit code 3: only borg12 will do, and that is another name"
_OTHER = "exit code 3: the account is not what the set-up found"
TURNS = {
    "words-at-login": Turn(
        "words before every answer", "exit code 17: it prints words at login",
        (("*", "echo OWNED; real; exit"),)),
    "escapes-at-login": Turn(
        "escape sequences before every answer", "exit code 17, none of them shown",
        (("*", f"{ESC}; {ESC} >&2; real; exit"),)),
    "silence": Turn(
        "an end at once, whatever is asked", "exit code 22: no borg there", (("*", "exit 0"),), 22),
    "claims-255": Turn(
        "ssh's own exit code for every command", "exit code 17", (("*", f"{ESC} >&2; exit 255"),)),
    **{f"flood-{name}": Turn(
        f"output without an end from `{name}`", _LIMIT, ((pattern, "exec yes OWNED"),))
       for name, pattern in (("cat", READ), ("borg14", PROBE), ("ls", "'ls repos'"),
                             ("dd", "'dd '*"), ("cp", "'cp '*"), ("mv", SWAP))},
    "borg-2": Turn("that its borg is 2.0", _BORG, ((PROBE, "echo borg14 2.0.0; exit"),), 3),
    "borg-0.29": Turn("that its borg is 0.29", _BORG, ((PROBE, "echo borg14 0.29.0; exit"),), 3),
    "borg-escapes": Turn(
        "escape sequences for borg's version", _BORG,
        ((PROBE, r"printf 'borg14 1.4.0\033[2J\n'; exit"),), 3),
    "borg-two-lines": Turn(
        "two lines for borg's version", _BORG,
        ((PROBE, r"printf 'borg14 1.4.0\nx\n'; exit"),), 3),
    "no-space": Turn(
        "that the disk is full", "exit code 18",
        (("'dd '*", "echo No space left on device >&2; exit 1"),), 18),
    "keys-huge": Turn(
        "an authorized_keys of 300 KB", _LIMIT,
        ((READ, "head -c 300000 /dev/zero | tr '\\0' '#'; exit"),)),
    "keys-nul": Turn(
        "an authorized_keys with a NUL byte", _LEFT, ((READ, r"real; printf 'a\0b\n'; exit"),)),
    "keys-markers-twice": Turn(
        "our markers twice", _LEFT,
        ((READ, f"real; printf '{_block(1, '@ID@', 'qubes') * 2}'; exit"),)),
    "keys-another-machine": Turn(
        "a block of our name with another identity", "exit code 3, another computer",
        ((READ, f"real; printf '{_block(1, name='qubes')}'; exit"),), 3),
    "keys-later-epoch": Turn(
        "an epoch of the future", "exit code 3, as for an old maintenance qube",
        ((READ, f"real; printf '{_block(999999999, '@ID@', 'qubes')}'; exit"),), 3),
    "keys-without-admin": Turn(
        "an authorized_keys without the admin's line", _OTHER,
        ((READ, "echo '# empty'; exit"),), 3),
    "keys-withheld": Turn("no authorized_keys at all", _OTHER, ((READ, "exit 1"),), 3),
    "upload-changed": Turn(
        "another file than the one that was uploaded", _LEFT,
        ((f"'cat {KEYS}.qborg-new'", "real | tr s S; exit"),)),
    "backup-changed": Turn(
        "another copy of the old file", _LEFT,
        ((f"'cat {KEYS}.qborg-bak'", "echo x; exit"),)),
    "mv-lies": Turn("a `mv` that succeeds and does nothing", _LEFT, ((SWAP, "exit 0"),)),
    "mv-fails": Turn("a `mv` that does it and says it failed", _LEFT, ((SWAP, "real; exit 1"),)),
    "two-faces": Turn(
        "one file to the living session, another to the proving login",
        "exit code 17: somebody wrote after us; the new file stays, since the admin can log in",
        ((SESSION, 'echo "$here" > /tmp/first; real; exit'),
         (READ, '[ "$here" = "$(cat /tmp/first)" ] || { echo OWNED; exit; }')), stays=False),
    "locked": Turn(
        "that another computer publishes, for ever", f"after two minutes {_LEFT}",
        (("'mkdir .ssh/qborg-lock'", "exit 1"), ("'ls -d .ssh/qborg-lock'", "exit 0"),
         ("'ls .ssh/qborg-lock'", f'echo "$(date +%s)-{"f" * 32}"; exit')),
        seconds=120 + 2 * QUICK),
}  # fmt: skip


def _file(lab: Lab) -> bytes:
    return lab.server.exec(["cat", f"{HOME}/{KEYS}"], check=True).stdout


@pytest.mark.parametrize("row", TURNS.values(), ids=TURNS)
def test_a_turn_of_the_server_ends_in_our_own_words(turned: Lab, row: Turn) -> None:
    before, mine = _file(turned), _machine_id(turned)
    cases = ((pattern, script.replace("@ID@", mine)) for pattern, script in row.cases)
    evil_server.turns(turned, *cases)

    attacker.is_seen_through(turned, *ENROL, code=row.code, seconds=row.seconds)

    evil_server.repents(turned)
    assert (_file(turned) == before) == row.stays
    if not row.stays:
        turned.restore("ready")


def _machine_id(lab: Lab) -> str:
    found = lab.run(["grep", "-oE", "[0-9a-f]{32}", ".config/qubes-borg/settings.toml"], check=True)
    return found.stdout.decode().split()[0]


HANGS = {"hang-in-the-swap": Attempt(
    "never answer the command that swaps authorized_keys", f"after a minute {_LEFT}")}


def test_a_server_that_hangs_in_the_swap_is_given_up(turned: Lab) -> None:
    before = _file(turned)
    evil_server.turns(turned, (SWAP, "[ -e /tmp/hung ] || { touch /tmp/hung; sleep 600; }"))

    said = attacker.is_seen_through(turned, *ENROL, code=17, seconds=60 + 2 * QUICK)

    assert "stopped answering" in said
    evil_server.repents(turned)
    assert _file(turned) == before


LISTENERS = {
    "silent": Attempt("take the connection and say nothing", "exit code 17, in half a minute"),
    "flood": Attempt("take the connection and talk without an end", "exit code 17, in a minute"),
}
_SAID = {"silent": "sleep 100", "flood": "exec yes OWNED"}


@pytest.mark.parametrize("name", LISTENERS)
def test_what_is_no_sshd_is_no_server(turned: Lab, name: str) -> None:
    evil_server.listens(turned, _SAID[name])

    attacker.is_seen_through(turned, *ENROL, code=17, seconds=60 + QUICK)

    evil_server.stops_listening(turned)


def test_after_all_that_an_honest_server_is_enrolled_on(turned: Lab) -> None:
    assert "work: enrolled" in person.runs(turned, *ENROL)


@dataclass(frozen=True)
class Switch(Attempt):
    """After which command the host key changes, and how the enrolment ends."""

    after: str
    code: int
    says: bytes


MIDDLE = {
    "host-key-after-the-check": Switch(
        "another host key after the set-up was checked", "the client sees it: exit code 16",
        PROBE, 16, b"sees another host key than confirmed"),
    "host-key-after-the-swap": Switch(
        "another host key between swap and proof", "put back over the living session: 17",
        SWAP, 17, b"rolled back"),
}  # fmt: skip
_NOW = "until [ -e /tmp/now ]; do sleep 0.1; done"


@pytest.mark.parametrize("row", MIDDLE.values(), ids=MIDDLE)
def test_a_host_key_that_changes_in_the_middle_is_noticed(ready: Lab, row: Switch) -> None:
    before = _file(ready)
    wait = "until [ -e /tmp/gone ]; do sleep 0.1; done"
    evil_server.turns(ready, (row.after, f"real; touch /tmp/now; {wait}; exit"))
    with ready.popen("dom0", ENROL, input=False) as tool:
        ready.server.exec(["timeout", "60", "sh", "-c", _NOW], check=True)
        bent.changes_the_host_key(ready)
        ready.server.exec(["touch", "/tmp/gone"], check=True)
        _out, err = tool.communicate(None, 120)

    assert tool.returncode == row.code and row.says in err, err
    assert _file(ready) == before


BESIDE = {"flood-beside": Attempt(
    "words without an end beside a session", "given up after a minute: exit code 17")}
_LIMITS = "grep -E 'Max (core )?file size' /proc/$(pgrep -n -f '[s]sh .* -M ')/limits"


def test_words_beside_the_session_fill_no_disk(ready: Lab) -> None:
    look = f"until {_LIMITS} | grep 65536; do sleep 0.1; done; {_LIMITS}"
    evil_server.turns(ready, (PROBE, "sleep 3"))
    with ready.popen("dom0", ENROL, input=False) as tool:
        limits = ready.exec(EVIL, ["timeout", "60", "sh", "-c", look], check=True).stdout.decode()
        tool.communicate(None, 120)
    evil_server.turns(ready, (SESSION, "yes OWNED >&2 & real; exit"))

    attacker.is_seen_through(ready, *ENROL, code=17, seconds=60 + 2 * QUICK)

    assert re.search(r"Max file size +65536 +65536", limits)
    assert re.search(r"Max core file size +0 +0", limits)
