"""The server's authorized_keys is the owner's: what is not ours survives whatever happens."""

import re
import time

import pytest

from lab import Lab
from scenarios import attacker, person, state
from scenarios.person import HOME, KEYS

ENROL = ("qvm-borg-enroll", "work", "--no-escrow")
OTHER = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKv8PkzJ7pmGNAnMPrCwTEu5qVdKmMgWz9pqGf8T2m3x"
OURS = re.compile(rb"# BEGIN qubes-borg .*?\n# END qubes-borg [^\n]*\n", re.DOTALL)
# What an owner may have in that file beside the admin's line.
FOREIGN = {
    "crlf": b"%s laptop\r\n# windows\r\n" % OTHER,
    "no-final-newline": b"%s laptop" % OTHER,
    "comments-and-blanks": b"\n\n   # mine, do not touch\n\t\n%s  two  blanks  \n\n\n" % OTHER,
    "options": b'from="198.51.100.*",no-pty,command="echo \\"hi\\"" %s nas\n' % OTHER,
    "not-ascii": b"# d\xe9j\xe0 vu \xff\n%s caf\xc3\xa9\n" % OTHER,
    "garbage": b"not a key at all\n\x07\x1b[2J\n",
    "another-computers-block": (
        b"# BEGIN qubes-borg laptop 00112233445566778899aabbccddeeff epoch=7\n"
        b'command="borg14 serve --append-only --restrict-to-repository repos/laptop-mail",'
        b"restrict %s laptop-mail\n"
        b"# END qubes-borg laptop 00112233445566778899aabbccddeeff\n" % OTHER),
}  # fmt: skip


def _read(lab: Lab) -> bytes:
    return lab.server.exec(["cat", f"{HOME}/{KEYS}"], check=True).stdout


def _write(lab: Lab, content: bytes) -> None:
    attacker.writes(lab, f"{HOME}/{KEYS}", content, "server", "zh1234")


def _without_block(lab: Lab) -> bytes:
    """Answer the file without our machine's block, which must be there once."""
    content = _read(lab)
    blocks = [block for block in OURS.findall(content) if b" qubes " in block]
    assert len(blocks) == 1 and b"qubes-work" in blocks[0]
    return content.replace(blocks[0], b"")


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_foreign_lines_stay_byte_for_byte(ready: Lab, foreign: bytes) -> None:
    admin = _read(ready)
    _write(ready, admin + foreign)
    ready.faults.add(where="qrexec", match="qborg.InitRepository+*", action="kill-caller")

    ready.run(list(ENROL))

    assert _without_block(ready).removesuffix(b"\n") == (admin + foreign).removesuffix(b"\n")
    assert _without_block(ready).startswith(admin + foreign)


def test_what_stands_around_our_block_stays_when_a_qube_is_added(enrolled: Lab) -> None:
    before, after = b"# above\r\n%s above\n" % OTHER, b"\n# below, without an end"
    _write(enrolled, before + _read(enrolled) + after)
    around = _without_block(enrolled)
    enrolled.faults.add(where="qrexec", match="qborg.InitRepository+*", action="kill-caller")

    enrolled.run(["qvm-borg-enroll", "personal", "--no-escrow"])

    assert _without_block(enrolled) == around and b" qubes-personal\n" in _read(enrolled)


# A cp that lets a person edit the file just before: between our reading and our copy of it.
_EDITOR = """set -eu
mv /usr/bin/cp /usr/bin/cp.real
cat > /usr/bin/cp <<'END'
#!/bin/sh
case "$*" in *authorized_keys\\ *) echo '@LINE@' >> .ssh/authorized_keys;; esac
exec /usr/bin/cp.real "$@"
END
chmod 755 /usr/bin/cp
"""


def test_a_person_who_edits_the_file_meanwhile_is_noticed_and_wins(ready: Lab) -> None:
    admin, line = _read(ready), b"%s added-just-now\n" % OTHER
    editor = _EDITOR.replace("@LINE@", line.decode().strip())
    ready.server.exec(["sh", "-c", editor], check=True)

    said = person.is_refused(ready, *ENROL, code=17, says="authorized_keys was left as it was")

    assert "someone else changed authorized_keys" in said
    assert _read(ready).startswith(admin + line) and OURS.search(_read(ready)) is None
    ready.server.exec(["mv", "/usr/bin/cp.real", "/usr/bin/cp"], check=True)
    person.runs(ready, *ENROL)
    assert _without_block(ready).startswith(admin + line)


@pytest.mark.parametrize("moment", ["qborg-lock", "authorized_keys.qborg-new",
                                    "authorized_keys.qborg-bak", "BEGIN"])  # fmt: skip
def test_a_maintenance_qube_that_dies_while_publishing_locks_nobody_out(
    ready: Lab, moment: str
) -> None:
    admin, foreign = _read(ready), b"%s laptop\r\n" % OTHER
    _write(ready, admin + foreign)
    look = f"until ls {HOME}/.ssh | grep -q {moment} || grep -q {moment} {HOME}/{KEYS}; do :; done"
    with ready.popen("server", ["sh", "-c", look], user="root") as watch:
        tool = ready.popen("dom0", ENROL, input=False)
        watch.wait(120)
        ready.do("kill", "borg-maintenance")
        out, err = tool.communicate(None, 120)
        tool.close()

    assert tool.returncode == 5 and (out + err).count(b"error: ") == 1, err
    assert state.gates(ready) == []
    left = OURS.sub(b"", _read(ready))
    assert left == admin + foreign
    time.sleep(1)
    ready.do("start", "borg-maintenance")
    ready.faults.add(where="qrexec", match="qborg.InitRepository+*", action="kill-caller")
    ready.run(list(ENROL))
    assert _without_block(ready) == admin + foreign
