"""An evil client: what dom0 makes of a qube that lies, floods, stays silent or shows off.

The lies come through the real call, from programs that a compromised qube put before ours. dom0
ends in bounded time with its own words; nothing of the lie reaches the terminal.
"""

import re
import signal
import time

import pytest

from lab import Lab
from scenarios import attacker, attempts, person, state
from scenarios.attacker import ESC, MARK, QUICK, Actions, says

PROOF = "0" * 64
GOOD = ("nonce=@NONCE@\noutcome=ok\narchive=work-2026-01-31T10:17:00\nfiles=7\nbytes=7\nsent=7\n"
        f"warnings=0\nproof={PROOF}\n")


def _with(old: str, new: str) -> Actions:
    assert old in GOOD
    return says(GOOD.replace(old, new))


def _failure(cause: str, detail: str) -> Actions:
    return says(f"nonce=@NONCE@\noutcome={cause}\ndetail={detail}\n")


# What RunBackup answers, and the exit code: 8 outside the contract, 5 unavailable, 7 missing.
LIES: dict[str, tuple[Actions, int]] = {
    "too-long": (_with("files=7", "files=" + "7" * 3000), 8),
    "endless-bytes": ([["read"], ["flood", MARK * 100]], 8),
    "endless-without-reading": ([["flood", "\0" * 4096]], 8),
    "endless-progress": ([["read"], ["flood", "progress=backup 1 1\n"]], 8),
    "endless-progress-line": ([["read"], ["flood", "progress="]], 8),
    "malformed-progress": (says(f"progress={MARK} x\n" + GOOD), 8),
    "progress-with-escapes": (says(f"progress=backup{ESC} 1 1\n" + GOOD), 8),
    "progress-with-return": (says("progress=backup 1 1\r\n" + GOOD), 8),
    "progress-after-the-nonce": (_with("outcome", "progress=backup 1 1\noutcome"), 8),
    "malformed": (says(f"{MARK}\n"), 8),
    "html": (says(f"<h1>{MARK}</h1>\n"), 8),
    "json": (says('{"nonce":"@NONCE@","outcome":"ok"}\n'), 8),
    "newline-only": (says("\n"), 8),
    "no-final-newline": (says(GOOD.rstrip("\n")), 8),
    "cut": (says(GOOD[:60]), 8),
    "twice": (says(GOOD + GOOD), 8),
    "output-after-it": (says(GOOD + MARK), 8),
    "line-after-it": (says(f"{GOOD}more={MARK}\n"), 8),
    "crlf": (says(GOOD.replace("\n", "\r\n")), 8),
    "wrong-nonce": (_with("@NONCE@", "f" * 32), 8),
    "no-nonce": (_with("nonce=@NONCE@\n", ""), 8),
    "nonce-in-upper-case": (_with("nonce", "NONCE"), 8),
    "nonce-twice": (_with("outcome", "nonce=@NONCE@\noutcome"), 8),
    "other-keys": (_with("sent=", "spent="), 8),
    "missing-key": (_with("sent=7\n", ""), 8),
    "key-twice": (_with("sent=7\n", "sent=7\nsent=7\n"), 8),
    "other-order": (_with("files=7\nbytes=7", "bytes=7\nfiles=7"), 8),
    "unknown-outcome": (_with("outcome=ok", f"outcome={MARK.lower()}"), 8),
    "failure-without-detail": (says("nonce=@NONCE@\noutcome=locked\n"), 8),
    "failure-with-more": (says("nonce=@NONCE@\noutcome=locked\ndetail=x\nmore=x\n"), 8),
    "failure-too-long": (_failure("locked", MARK + "x" * 200), 8),
    "failure-with-escapes": (_failure("locked", ESC), 8),
    "failure-beyond-ascii": (_failure("locked", "\xe2\x80\xae"), 8),
    "escapes-in-the-archive": (_with("work-", ESC), 8),
    "option-as-archive": (_with("work-", "--work-"), 8),
    "path-as-archive": (_with("work-", "../work-"), 8),
    "negative": (_with("files=7", "files=-7"), 8),
    "infinite": (_with("bytes=7", "bytes=inf"), 8),
    "number-with-zeros": (_with("bytes=7", "bytes=007"), 8),
    "short-proof": (_with(PROOF, PROOF[1:]), 8),
    "nul": (_with("files=7", "files=7\0"), 8),
    "nothing-and-0": ([["read"], ["exit", 0]], 8),
    "nothing-and-1": ([["read"], ["exit", 1]], 8),
    "nothing-and-125": ([["read"], ["exit", 125]], 5),
    "nothing-and-126": ([["read"], ["exit", 126]], 5),
    "nothing-and-127": ([["read"], ["exit", 127]], 7),
    "nothing-and-137": ([["read"], ["exit", 137]], 8),
    "nothing-and-255": ([["read"], ["exit", 255]], 5),
    **{f"output-and-{code}": ([*says(f"{MARK}\n"), ["exit", code]], 8)
       for code in (125, 126, 127, 137, 255)},
    "stderr-flood-and-nothing": ([["noise", 2_000_000], ["read"]], 8),
    "nothing-read": ([["close"], ["exit", 1]], 8),
}  # fmt: skip
ATTEMPTS = attempts.coded(
    "answer a backup", ((name, code) for name, (_actions, code) in LIES.items()))  # fmt: skip


@pytest.mark.parametrize(("actions", "code"), LIES.values(), ids=LIES)
def test_a_lie_about_a_backup_is_told_in_dom0s_own_words(
    steady: Lab, actions: Actions, code: int
) -> None:
    attacker.shadows(steady, "qborg.RunBackup", *actions)
    before = state.qubesd(steady)

    attacker.is_seen_through(steady, "qvm-borg-backup", "work", code=code)

    assert state.qubesd(steady) == before


FLAWED = {
    "exit-137": [*says(GOOD), ["exit", 137]],
    "exit-126": [*says(GOOD), ["exit", 126]],
    "stderr-flood": [["noise", 2_000_000], *says(GOOD), ["noise", 2_000_000]],
    "after-progress": [["read"], ["drip", "progress=backup 1 1\n", 20, 0.05], ["write", GOOD]],
}  # fmt: skip


@pytest.mark.parametrize("actions", FLAWED.values(), ids=FLAWED)
def test_a_well_formed_reply_counts_whatever_else_the_qube_does(
    steady: Lab, actions: Actions
) -> None:
    attacker.shadows(steady, "qborg.RunBackup", *actions)

    said = person.runs(steady, "qvm-borg-backup", "work")

    assert "\x1b" not in said and "noise" not in said
    assert state.gates(steady) == [] and attacker.calling(steady) == b""


ENDLESS: dict[str, Actions] = {
    "progress": [["read"], ["drip", "progress=backup 1 1\n", 10**6, 0.2]],
    "silence": [["read"], ["sleep", 10**6]],
    "silence-unread": [["sleep", 10**6]],
    "open-after-the-reply": [*says(GOOD), ["sleep", 10**6]],
    "one-letter-a-second": [["read"], ["drip", "a", 10**6, 1]],
}
WAITING = attempts.named("answer a backup for ever", "Ctrl-C ends it, the gate is closed", ENDLESS)


@pytest.mark.parametrize("actions", ENDLESS.values(), ids=ENDLESS)
def test_what_may_take_long_ends_by_ctrl_c(steady: Lab, actions: Actions) -> None:
    attacker.shadows(steady, "qborg.RunBackup", *actions)
    steady.faults.clear()

    with steady.popen("dom0", ["qvm-borg-backup", "work"]) as tool:
        while not any(call["name"].startswith("qborg.RunBackup") for call in steady.trace()):
            time.sleep(0.05)
        time.sleep(2)
        assert tool.returncode is None and attacker.calling(steady) != b""
        tool.send_signal(signal.SIGINT)
        out, err = tool.communicate(None, QUICK)

    assert tool.returncode == 130
    assert re.fullmatch(r"error: .*\nhint: .*\n", err.decode()) and b"\x1b" not in out
    assert state.gates(steady) == [] and attacker.calling(steady) == b""


def test_a_lie_about_a_restore_is_no_success(steady: Lab) -> None:
    attacker.shadows(steady, "qborg.RestoreFiles", *says(f"nonce=@NONCE@\noutcome=ok\n{ESC}\n"))

    attacker.is_seen_through(steady, "qvm-borg-restore", "work", "/home/user", "--to-directory",
                    "/home/user/back", code=8)  # fmt: skip
