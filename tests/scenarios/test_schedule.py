"""The schedule in the client: real cron, what is due, copies that must not speak for the qube."""

import json
import os
import re
import time

import pytest

from lab import Lab
from lab.client import RunResult
from scenarios import attacker, bent, person, state

LAST = "/home/user/.local/state/qubes-borg/last.json"
CONFIG = "/home/user/.ssh/config"
DUE = b'{"success": 1, "outcome": "ok"}'
DISPOSABLE = """
app.domains["work"].template_for_dispvms = True
app.add_new_vm("DispVM", "disp7", "red", template="work").start()
"""


def _runs(lab: Lab, *argv: str, qube: str = "work", input: bytes = b"") -> RunResult:
    return lab.exec(qube, list(argv), input=input)


def _crontab(lab: Lab) -> bytes:
    return lab.exec("work", ["crontab", "-l"], check=True).stdout


def _last(lab: Lab) -> dict[str, object]:
    found: dict[str, object] = json.loads(_runs(lab, "cat", LAST).stdout)
    return found


def test_cron_fires_the_run_that_is_due_also_after_a_restart(enrolled: Lab) -> None:
    before, config = _crontab(enrolled), _runs(enrolled, "cat", CONFIG).stdout
    assert re.search(rb"^[0-9]+ \* \* \* \* /usr/bin/qborg-run --scheduled$", before, re.MULTILINE)
    enrolled.do("shutdown", "work")
    enrolled.do("start", "work")
    assert (_crontab(enrolled), _runs(enrolled, "cat", CONFIG).stdout) == (before, config)
    attacker.writes(enrolled, LAST, DUE, "work")
    every_minute = re.sub(rb"^[0-9]+ \*", b"* *", before, flags=re.MULTILINE)

    assert _runs(enrolled, "crontab", "-", input=every_minute).returncode == 0
    deadline = time.monotonic() + 600
    while _last(enrolled) == json.loads(DUE) or _last(enrolled)["outcome"] != "ok":
        assert time.monotonic() < deadline, "cron did not fire"
        time.sleep(1)

    assert len(state.archives(enrolled)) == 2
    assert abs(int(str(_last(enrolled)["success"])) - time.time()) < 200


def test_what_is_not_due_is_left_alone_and_what_is_due_is_run(enrolled: Lab) -> None:
    idle = _runs(enrolled, "qborg-run", "--scheduled")
    assert (idle.returncode, idle.stdout, idle.stderr) == (0, b"", b"")
    assert len(state.archives(enrolled)) == 1
    attacker.writes(enrolled, LAST, DUE, "work")

    # As cron runs it: no terminal, next to no environment.
    bare = ("env", "-i", "HOME=/home/user", "LOGNAME=user", "PATH=/usr/bin:/bin", "/bin/sh", "-c")
    done = _runs(enrolled, *bare, "/usr/bin/qborg-run --scheduled")

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    last, archives = _last(enrolled), state.archives(enrolled)
    assert len(archives) == 2 and (last["outcome"], last["archive"]) == ("ok", archives[-1])
    assert int(str(last["files"])) > 2 and last["began"] == last["success"]


def test_a_scheduled_run_that_fails_says_so_and_is_due_again(enrolled: Lab) -> None:
    attacker.writes(enrolled, LAST, DUE, "work")
    enrolled.server.stop_sshd()

    failed = _runs(enrolled, "qborg-run", "--scheduled")

    enrolled.server.start_sshd()
    lines = failed.stderr.decode().splitlines()
    assert failed.returncode == 1 and [line[:6] for line in lines] == ["error:", "hint: "]
    last = _last(enrolled)
    assert (last["success"], last["outcome"]) == (1, "server-unreachable") and last["detail"]
    assert _runs(enrolled, "qborg-run", "--scheduled").returncode == 0
    assert len(state.archives(enrolled)) == 2


def test_an_enrolment_waits_for_the_run_that_cron_has_begun(ready: Lab) -> None:
    ready.faults.add(where="qrexec", match="qborg.RunBackup+*", action="kill-caller")
    ready.run(["qvm-borg-enroll", "work", "--no-escrow"])
    # A slow run of cron's, seen from outside: the lock is held, then free.
    held = "d=~/.local/state/qubes-borg; mkdir -m 700 -p $d; exec flock $d/lock cat"
    enrol = ("sh", "-c", "qvm-borg-enroll work --no-escrow 2>&1")
    with (ready.popen("work", ["sh", "-c", held]) as run,
          ready.popen("dom0", enrol, input=False) as enrolment):  # fmt: skip
        said = b""
        while b"wait-for-other-backup" not in said:
            more = os.read(enrolment.stdout.fileno(), 4096)
            assert more, said
            said += more
        run.stdin.close()
        enrolment.communicate(None, 300)

    assert enrolment.returncode == 0 and len(state.archives(ready)) == 1


CRONTABS = {
    "lines": b"# mine\nMAILTO=me\n5 4 * * * /bin/true\n",
    "bytes": b"# caf\xc3\xa9 \xff \x1b[31m\n\n\n5 4 * * *\t/bin/true   \n",
    "no-crontab": b"",
}
CONFIGS = {
    "hosts": b"Host *\n    ServerAliveInterval 5\nHost bak\n  User me\n",
    "no-final-newline": b"Host nas\r\n  Port 2222",
    "blanks": b"\n\n# mine \xff\n\t\n",
}


@pytest.mark.parametrize("count", range(3), ids=CONFIGS)
def test_the_persons_own_crontab_and_ssh_config_stay(ready: Lab, count: int) -> None:
    crontab, config = list(CRONTABS.values())[count], list(CONFIGS.values())[count]
    if crontab:
        assert _runs(ready, "crontab", "-", input=crontab).returncode == 0
    ready.exec("work", ["mkdir", "-m", "700", "-p", "/home/user/.ssh"], check=True)
    attacker.writes(ready, CONFIG, config, "work")
    ready.exec("work", ["chmod", "640", CONFIG], check=True)
    ready.faults.add(where="qrexec", match="qborg.RunBackup+*", action="kill-caller")

    ready.run(["qvm-borg-enroll", "work", "--no-escrow"])

    assert _runs(ready, "cat", CONFIG).stdout == b"Include backups/bakserver\n" + config
    assert _runs(ready, "stat", "-c", "%a", CONFIG).stdout == b"640\n"
    ours = _crontab(ready)
    assert ours.startswith(crontab + b"# BEGIN qubes-borg\n") and ours.endswith(
        b"* * * * /usr/bin/qborg-run --scheduled\n# END qubes-borg\n")


def test_a_crontab_that_cannot_be_read_as_it_is_is_left_alone(ready: Lab) -> None:
    raw = "/var/spool/cron/crontabs/user"
    assert _runs(ready, "crontab", "-", input=b"5 4 * * * /bin/true\r\n").returncode == 0
    before = ready.exec("work", ["cat", raw], user="root", check=True).stdout

    person.is_refused(ready, "qvm-borg-enroll", "work", "--no-escrow", code=25,
                      says="ends in a carriage return")  # fmt: skip

    assert ready.exec("work", ["cat", raw], user="root", check=True).stdout == before
    assert _runs(ready, "ls", "/home/user/.ssh/backups").returncode != 0


WRITING = {
    "scheduled": ("qborg-run", "--scheduled"),
    "by-hand": ("qborg-run",),
    "borgbak-create": ("borgbak", "create", "::x", "/home/user"),
    "borgbak-short-form": ("borgbak", "--remote-path", "list", "create", "x", "/home/user"),
    "borgbak-delete": ("borgbak", "delete", "::x"),
    "borgbak-key": ("borgbak", "key", "change-passphrase"),
    "borgbak-prune": ("borgbak", "--verbose", "prune", "--keep-last", "1"),
}


def _refuses_everywhere(lab: Lab, qube: str) -> None:
    for command in WRITING.values():
        refused = _runs(lab, *command, qube=qube)
        lines = refused.stderr.decode().splitlines()
        assert refused.returncode == 1 and len(lines) == 2, (command, refused)
        assert lines[0].startswith("error: not-this-qube: ") and lines[1].startswith("hint: ")


def test_a_clone_neither_backs_up_nor_writes(enrolled: Lab) -> None:
    attacker.writes(enrolled, LAST, DUE, "work")
    bent.clones(enrolled, "work", "copy")
    enrolled.do("start", "copy")
    enrolled.do("start", "work")

    _refuses_everywhere(enrolled, "copy")

    assert len(state.archives(enrolled)) == 1
    person.is_refused(enrolled, "qvm-borg-backup", "copy", code=24, says="is a copy of")


def test_a_qube_restored_under_its_name_neither_backs_up_nor_writes(enrolled: Lab) -> None:
    attacker.writes(enrolled, LAST, DUE, "work")
    bent.restores_under_its_name(enrolled, "work")
    enrolled.do("start", "work")

    _refuses_everywhere(enrolled, "work")

    assert len(state.archives(enrolled)) == 1
    bond = enrolled.exec("work", ["rm", "/home/user/.local/state/qubes-borg/qube"])
    assert bond.returncode == 0
    # What is not known to be another's is this qube's own: a kernel may not tell.
    assert _runs(enrolled, "qborg-run").returncode == 0


def test_a_disposable_of_the_qube_neither_backs_up_nor_writes(enrolled: Lab) -> None:
    attacker.writes(enrolled, LAST, DUE, "work")
    enrolled.do("shutdown", "work")
    bent.in_dom0(enrolled, DISPOSABLE)
    assert _runs(enrolled, "ls", "/home/user/.ssh/backups/borgpass", qube="disp7").returncode == 0

    _refuses_everywhere(enrolled, "disp7")

    enrolled.do("start", "work")
    assert len(state.archives(enrolled)) == 1


def test_borgbak_is_borg_with_all_that_it_can(enrolled: Lab) -> None:
    name, content = state.archives(enrolled)[0], b"".join(b"line %d\n" % n for n in range(50000))
    put = _runs(enrolled, "borgbak", "create", "--stdin-name", "a b", "::by-hand", "-",
                input=content)  # fmt: skip
    got = _runs(enrolled, "borgbak", "extract", "--stdout", "::by-hand", "a b")
    proof = "home/user/.local/state/qubes-borg/proof"
    extracted = enrolled.exec("work", ["borgbak", "extract", f"::{name}", proof], cwd="/tmp")

    assert (put.returncode, got.returncode, got.stdout) == (0, 0, content)
    assert extracted.returncode == 0
    assert _runs(enrolled, "cmp", f"/tmp/{proof}", f"/{proof}").returncode == 0
    assert _runs(enrolled, "borgbak", "info", "::nothing-of-the-kind").returncode == 2
    assert _runs(enrolled, "borgbak", "no-such-command").returncode == 2
    assert _runs(enrolled, "borgbak", "--version").stdout.startswith(b"borg 1.")
