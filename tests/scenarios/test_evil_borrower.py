"""An evil qube that gets another one's files: it would keep the repository that it was lent."""

import time

from lab import Lab
from scenarios import attacker, person, state
from scenarios.attempts import Attempt

EVIL = "personal"
KEPT = {
    "keeps-the-loan": Attempt(
        "keep the repository open that it was lent for a restore, and ask for it anew",
        "the next loan ends it, as that of a rotation or a check; it gets no other one"),
}
# Asked once more, to get the files, it opens a conversation through the gate when that is noticed,
# says nothing in it, and leaves it open when it fails.
_HOLDS = """#!/bin/sh
mkfifo /tmp/held && exec /etc/qubes-rpc/qborg.ReceiveFiles "$@"
setsid sleep 3600 > /tmp/held 2> /dev/null &
setsid sh -c 'for _try in 1 2 3 4 5 6 7 8 9 10; do
    qrexec-client-vm borg-maintenance qborg.ServeRepository+qubes-work < /tmp/held
    sleep 0.5
done' > /dev/null 2>&1 &
sleep 10
exit 1
"""
_SERVES = "grep -lazE '^borg14$|/borg14$' /proc/[0-9]*/cmdline"


def _serves(lab: Lab) -> bool:
    """Tell whether a borg of the server's talks to anybody."""
    return bool(lab.server.exec(["sh", "-c", _SERVES]).stdout)


def test_what_it_was_lent_it_has_no_longer_than_to_the_next_loan(escrowed: Lab) -> None:
    escrowed.do("start", EVIL)
    escrowed.do("start", "borg-maintenance")  # else it is shut down, and all talk with it
    attacker.bends(escrowed, "qborg.ReceiveFiles", _HOLDS, qube=EVIL)
    escrowed.run(["qvm-borg-restore", "work", "/home/user", "--to", EVIL])
    assert _serves(escrowed) and state.gates(escrowed) == []

    person.runs(escrowed, "qvm-borg-check", "work")

    deadline = time.monotonic() + 300
    while _serves(escrowed):
        assert time.monotonic() < deadline, "it is lent for ever"
        time.sleep(1)
    again = attacker.calls(escrowed, EVIL, "borg-maintenance", "qborg.ServeRepository+qubes-work")
    assert again.returncode == 126 and not _serves(escrowed)
