"""The way back from a bad publication: it must hold when the server is at its worst."""

from collections.abc import Iterator

import pytest

from lab import Lab
from scenarios import person

KEYS = f"{person.HOME}/{person.KEYS}"
# A server that garbles what was moved in place, and whose disk is full from then on. With
# /run/stuck it moves nothing back either.
_MOVE = """#!/bin/sh
[ ! -e /run/stuck ] || case "$*" in *qborg-new*|*qborg-probe*) ;; *) exit 1 ;; esac
/usr/bin/mv.genuine "$@" || exit
case "$*" in *qborg-new*)
    : > "$HOME/.ssh/authorized_keys"
    /usr/bin/dd if=/dev/zero of="$HOME/filler" bs=4k 2>/dev/null
esac
"""


@pytest.fixture
def garbling(ready: Lab) -> Iterator[Lab]:
    """Set up, with such a server."""
    swap = "cp -p /usr/bin/mv /usr/bin/mv.genuine; cat > /usr/bin/mv; chmod 755 /usr/bin/mv"
    ready.server.exec(["/bin/sh", "-euc", swap], input=_MOVE.encode(), check=True)
    try:
        yield ready
    finally:
        ready.server.exec(["rm", "-f", "/run/stuck"], check=True)
        ready.server.exec(["/usr/bin/mv.genuine", "/usr/bin/mv.genuine", "/usr/bin/mv"], check=True)


def test_a_full_disk_does_not_cut_the_file_that_is_put_back(garbling: Lab) -> None:
    before = garbling.server.exec(["cat", KEYS], check=True).stdout

    said = person.is_refused(
        garbling, "qvm-borg-enroll", "work", "--no-escrow", code=17, says="rolled back"
    )

    assert "left as it was" in said
    assert garbling.server.exec(["df", "--output=avail", "/home"]).stdout.split()[1] == b"0"
    assert garbling.server.exec(["cat", KEYS], check=True).stdout == before
    garbling.server.exec(["rm", f"{person.HOME}/filler"], check=True)
    person.runs(garbling, "qvm-borg-setup")


def test_what_could_not_be_put_back_is_not_said_to_be_as_it_was(garbling: Lab) -> None:
    garbling.server.exec(["touch", "/run/stuck"], check=True)

    said = person.is_refused(
        garbling, "qvm-borg-enroll", "work", "--no-escrow", code=17, says="not rolled back"
    )

    assert "authorized_keys.qborg-bak" in said and "left as it was" not in said
