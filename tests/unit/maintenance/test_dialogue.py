"""The password login: the host key first, one password, and an end to whatever a server says."""

import json
import sys
from pathlib import Path

import pytest

from qborg_maintenance import dialogue
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret

SSH = Path(__file__).with_name("asking_ssh.py")
RIGHT, WRONG = "SHA256:" + "h" * 43, "SHA256:" + "x" * 43
PASSWORD = "correct horse"
IN = ["say", "qubes-borg-is-in\r\n"]
KEY = ["compare", RIGHT]
ASKS = ["ask", "zh1@backup.example's password: "]
Actions = list[list[object]]


def login(folder: Path, actions: Actions, patience: float = 30.0) -> str:
    """Log in at a server that does this; answers what it heard."""
    heard = folder / "heard"
    heard.touch()
    argv = [sys.executable, "-I", str(SSH), json.dumps(actions), str(heard)]
    try:
        with dialogue.logged_in(argv, {}, RIGHT, Secret(PASSWORD.encode()), patience):
            pass
    finally:
        told = heard.read_text(encoding="utf-8")
    return told


GOOD: dict[str, Actions] = {
    "password": [KEY, ASKS, IN, ["sleep", 60]],
    "keyboard-interactive": [KEY, ["ask", "(zh1@backup.example) Password: "], IN, ["sleep", 60]],
    "banner": [KEY, ["say", "Welcome!\r\nBe good.\r\n"], ASKS, IN, ["sleep", 60]],
    "prompt-in-pieces": [KEY, ["say", "zh1@backup.example's pass"], ["sleep", 0.3],
                         ["ask", "word: "], IN, ["sleep", 60]],
    "escapes": [KEY, ["say", "\x1b[2J\x1b]0;owned\x07\r\n"], ASKS, IN, ["sleep", 60]],
}  # fmt: skip


@pytest.mark.parametrize("actions", GOOD.values(), ids=GOOD)
def test_the_fingerprint_goes_first_and_the_password_once(tmp_path: Path, actions: Actions) -> None:
    assert login(tmp_path, actions) == f"{RIGHT}\n{PASSWORD}\n"


# What the server does, the cause, and whether it may hear the password.
BAD: dict[str, tuple[Actions, str, bool]] = {
    "another-key": ([["compare", WRONG], ASKS, IN], "host-key-changed", False),
    "changed-key": ([["say", "REMOTE HOST IDENTIFICATION HAS CHANGED!\r\n"], ["exit", 255]],
                    "host-key-changed", False),
    "no-question-but-a-prompt": ([ASKS, IN], "host-key-changed", False),
    "wrong-password": ([KEY, ASKS, ["say", "Permission denied, please try again.\r\n"], ASKS],
                       "password-refused", True),
    "asks-twice": ([KEY, ASKS, ASKS, IN], "password-refused", True),
    "takes-no-password": ([KEY, ["say", "zh1@h: Permission denied (publickey).\r\n"]],
                          "password-refused", False),
    "second-factor": ([KEY, ASKS, ["ask", "(zh1@h) Verification code: "], IN],
                      "password-refused", True),
    "in-without-a-password": ([KEY, IN, ["sleep", 60]], "server-unreachable", False),
    "in-without-a-key": ([IN, ["sleep", 60]], "server-unreachable", False),
    "two-questions": ([KEY, KEY, ASKS, IN], "server-unreachable", False),
    "closes": ([["exit", 255]], "server-unreachable", False),
    "closes-after-the-password": ([KEY, ASKS, ["exit", 255]], "server-unreachable", True),
    "silent": ([["sleep", 60]], "server-unreachable", False),
    "silent-after-the-password": ([KEY, ASKS, ["sleep", 60]], "password-refused", True),
    "floods": ([KEY, ["flood"]], "server-unreachable", False),
}  # fmt: skip


@pytest.mark.parametrize(("actions", "cause", "heard"), BAD.values(), ids=BAD)
def test_what_goes_wrong_has_a_cause_and_the_password_stays_where_it_may(
    tmp_path: Path, actions: Actions, cause: str, heard: bool
) -> None:
    with pytest.raises(ServiceFailure) as caught:
        login(tmp_path, actions, patience=5.0)

    assert caught.value.cause == cause
    assert (PASSWORD in (tmp_path / "heard").read_text(encoding="utf-8")) == heard
    assert PASSWORD not in str(caught.value) + caught.value.detail
