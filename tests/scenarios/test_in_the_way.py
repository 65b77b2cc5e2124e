"""What a person, or a provider, may have in the way: said as what it is, and left alone."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import bent, person, state

ENROL = ("qvm-borg-enroll", "work", "--no-escrow")
_CONFIG = "mkdir -m 700 ~/.ssh ~/dot; : > ~/dot/config; ln -s ../dot/config ~/.ssh/config"
_FULL = """mkdir -p "$1"
mount -t tmpfs -o size=4k,mode=0700,uid=1000,gid=1000 tmpfs "$1"
dd if=/dev/zero of="$1/full" 2>/dev/null || :
"""
_GREETS = """shell=$(readlink -f "$(getent passwd zh1234 | cut -d: -f7)")
cp "$shell" /run/shell
sed -i 's/^def main.*/&\\n    print("Welcome!", flush=True)/' "$shell"
"""
_QUIET = 'cat /run/shell > "$(readlink -f "$(getent passwd zh1234 | cut -d: -f7)")"'


@dataclass(frozen=True)
class Way:
    """What lies in the way, and how the enrolment of work must end."""

    happens: Callable[[Lab], object]
    code: int
    says: str


def _user_does(script: str) -> Callable[[Lab], object]:
    return lambda lab: lab.exec("work", ["/bin/sh", "-euc", script], check=True)


def _fills(lab: Lab, qube: str, directory: str) -> None:
    lab.exec(qube, ["/bin/sh", "-euc", _FULL, "-", directory], user="root", check=True)


WAYS = {
    "linked-config": Way(_user_does(_CONFIG), 25, "/home/user/.ssh/config is a link"),
    "half-a-crontab-block": Way(
        _user_does("echo '# BEGIN qubes-borg' | crontab -"), 25, "the crontab holds part"),
    "full": Way(
        lambda lab: _fills(lab, "work", "/home/user/.ssh"), 5, "its private storage is full"),
    "default-user-root": Way(
        lambda lab: bent.in_dom0(lab, "app.domains['work'].default_user = 'root'"),
        25, "/root is lost at a restart"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_client_is_named_and_nothing_in_it_changed(ready: Lab, way: Way) -> None:
    way.happens(ready)
    before = state.files(ready, "work", "/home/user")

    said = person.is_refused(ready, *ENROL, code=way.code, says=f"work: {way.says}"
                             if way.code == 5 else f"work: it refused its bundle ({way.says}")

    assert "borg-maintenance: " not in said
    assert state.files(ready, "work", "/home/user") == before


def test_a_login_that_prints_words_is_told_at_once(ready: Lab) -> None:
    ready.server.exec(["/bin/sh", "-euc", _GREETS], check=True)
    try:
        person.is_refused(ready, *ENROL, code=17, says="it prints words at login")
    finally:
        ready.server.exec(["/bin/sh", "-euc", _QUIET], check=True)


OWN = {
    "unreadable-patterns": (_user_does("chmod 0 ~/.config/qubes-borg/patterns"),
                            "source-missing: /home/user/.config/qubes-borg/patterns: Permission"),
    "full": (lambda lab: _fills(lab, "work", "/home/user/.local/state/qubes-borg"),
             "no-space: No space left"),
}  # fmt: skip


@pytest.mark.parametrize(("happens", "says"), OWN.values(), ids=OWN)
def test_a_backup_by_hand_says_what_is_wrong(
    enrolled: Lab, happens: Callable[[Lab], object], says: str
) -> None:
    happens(enrolled)

    ended = enrolled.exec("work", ["qborg-run"])

    assert ended.returncode == 1 and b"Traceback" not in ended.stderr
    assert ended.stderr.startswith(f"error: {says}".encode()) and b"\nhint: " in ended.stderr
