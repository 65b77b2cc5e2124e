"""borgbak with real borg and real bash: short forms, the lock, what TAB offers."""

import json
import time

import pytest

from lab import Lab
from lab.client import RunResult
from qborg_client.borg_commands import TABLE
from scenarios import attacker

HOSTILE = "work-$(touch owned)"
PARSER = """
import argparse, json
from borg.archiver import Archiver
found, parser = {}, Archiver().build_parser()
def walk(parser, name):
    row = {"values": [], "flags": [], "words": []}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for key, child in action.choices.items():
                walk(child, f"{name} {key}".strip())
            return
        if action.option_strings:
            row["flags" if action.nargs == 0 else "values"] += action.option_strings
        else:
            row["words"].append((action.metavar, str(action.nargs)))
    found[name] = row
walk(parser, "")
common = [text for a in parser._actions if a.nargs is None for text in a.option_strings]
print(json.dumps({"common": common, "commands": found}))
"""
TAB = """
. /usr/share/bash-completion/completions/borgbak
. /usr/share/bash-completion/completions/qborg-run
tab() { COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=(); _borgbak; echo "${COMPREPLY[*]}"; }
"""
WORDS = {  # what borg calls its words -> the place that the table says
    "REPOSITORY": "repository", "ARCHIVE": "archive", "REPOSITORY_OR_ARCHIVE": "archive",
    "REPO::ARCHIVE1": "archive",
}  # fmt: skip
READS = {
    "list": (["list", "--short", "one"], "home/user/letter"),
    "list-path": (["list", "--short", "--last", "1", "one", "home/user/letter"], "user/letter"),
    "info": (["info", "one"], "Archive name: one"),
    "info-latest": (["info", "latest"], "Archive name: work-"),
    "extract": (["extract", "--stdout", "one", "home/user/letter"], "first"),
    "diff": (["diff", "one", "two"], "home/user/letter"),
    "export-tar": (["export-tar", "one", "-"], "home/user/letter"),
    "check": (["-v", "check", "two"], "Archive consistency check complete"),
    "key": (["key", "export"], "BORG_KEY"),
    "with-lock": (["with-lock", "echo", "held"], "held"),
    "as-borg-has-it": (["list", "--short", "ssh://bakserver/./repos/qubes-work::one"], "letter"),
}


def _runs(lab: Lab, *argv: str) -> RunResult:
    return lab.exec("work", list(argv), cwd="/home/user")


@pytest.fixture(scope="module")
def two(steady: Lab) -> Lab:
    """work has two archives of its own beside the one of its enrolment, and a hostile one."""
    for name, text in (("one", b"first\n"), ("two", b"second\n"), (HOSTILE, b"")):
        attacker.writes(steady, "/home/user/letter", text, "work")
        steady.exec("work", ["borgbak", "create", name, "/home/user/letter"], check=True)
    return steady


def test_the_table_knows_what_borgs_own_parser_knows(steady: Lab) -> None:
    own = json.loads(_runs(steady, "/usr/bin/python3", "-c", PARSER).stdout)
    common, groups = set(TABLE["common"]["values"]), TABLE["groups"]

    assert set(own["common"]) == common
    assert set(own["commands"]) <= set(TABLE["commands"])
    for command, row in own["commands"].items():
        ours = TABLE["commands"][command]
        values = common.union(*(groups[g] for g in ours.get("groups", ())), ours.get("values", ()))
        place, more = row["words"][:1], row["words"][1:]
        assert set(row["values"]) <= values, command
        assert not values & set(row["flags"]), command
        shorter = {f for f in row["flags"] if any(v.startswith(f) for v in values if f[:2] == "--")}
        assert shorter <= {*TABLE["common"]["flags"], *ours.get("flags", ())}, command
        assert ours.get("place") == WORDS.get(place[0][0] if place else ""), command
        if ours.get("place") == "repository" and not ours.get("ends"):
            most = 1000 if any(count == "+" for _name, count in more) else len(more)
            assert ours.get("after", 0) in (most, 1000), command


# What is asked of a locked repository; what at once ends with; what is told when it is free.
LOCKED = {
    "list": ("list", 2, b"two"),
    "latest": ("info latest", 1, b"Archive name: work-"),  # the look for it waits as its line
}


@pytest.mark.parametrize(("arguments", "says"), READS.values(), ids=READS)
def test_a_short_form_is_what_borg_does(two: Lab, arguments: list[str], says: str) -> None:
    done = _runs(two, "borgbak", *arguments)

    assert done.returncode == 0, done
    assert says in (done.stdout + done.stderr).decode("utf-8", "replace")


@pytest.mark.parametrize(("asked", "code", "says"), LOCKED.values(), ids=LOCKED)
def test_it_waits_for_the_lock_unless_told_otherwise(
    two: Lab, asked: str, code: int, says: bytes
) -> None:
    inner = (f"timeout 30 borgbak {asked} --lock-wait 0 > one; echo $? > at-once; "
             f"borgbak {asked} > later & sleep 3")
    _runs(two, "sh", "-c", "rm -f later at-once")

    held = _runs(two, "borgbak", "with-lock", "sh", "-c", inner)

    assert held.returncode == 0 and _runs(two, "cat", "at-once").stdout == b"%d\n" % code
    deadline = time.monotonic() + 600
    while says not in _runs(two, "cat", "later").stdout:
        assert time.monotonic() < deadline, "it did not wait, or for ever"
        time.sleep(1)


def test_it_says_that_it_waits_for_this_qubes_backup(two: Lab) -> None:
    running = "flock ~/.local/state/qubes-borg/lock borgbak"

    said = _runs(two, "sh", "-c", f"{running} list").stderr
    assert b"a backup or restore of this qube is running" in said
    assert _runs(two, "sh", "-c", f"{running} umount /nowhere").stderr.count(b"backup") == 0
    assert _runs(two, "borgbak", "list").stderr == b""


def test_it_says_that_it_waits_for_another_borg(two: Lab) -> None:
    script = """
        mkfifo held
        sleep 600 > held & sleeper=$!
        borgbak create ::by-hand - < held & creator=$!
        until ls .cache/borg/*/lock.exclusive/*; do sleep 0.1; done
        borgbak list --lock-wait 0
        kill $creator; wait $creator; kill $sleeper; rm held
    """

    said = _runs(two, "timeout", "300", "bash", "-c", script).stderr

    assert b"borgbak: another borg in this qube is running; borg may wait for it" in said
    listed = _runs(two, "borgbak", "list", "--short")
    assert listed.stderr == b"" and b"by-hand" not in listed.stdout


def test_a_tab_offers_commands_and_archives_and_runs_nothing(two: Lab) -> None:
    newest = _runs(two, "borgbak", "list", "--short", "--glob-archives", "work-2*").stdout
    stamp = newest.decode().strip()
    after_colon = stamp.rpartition(":")[0] + ":"
    script = TAB + "\n".join((
        "tab 'borgbak ex'", "tab 'borgbak key ex'", "tab 'borgbak extract '",
        f"tab 'borgbak extract {after_colon}'", "tab 'borgbak diff one t'",
        "tab 'borgbak info ::o'", "tab 'borgbak list one '",
        "COMP_WORDS=(qborg-run --s) COMP_CWORD=1; _qborg_run; echo ${COMPREPLY[*]}",
    ))  # fmt: skip

    done = _runs(two, "bash", "-c", script)

    assert done.stderr == b""
    assert done.stdout.decode().split("\n") == [
        "export-tar extract", "export export-related-secrets",
        f"{stamp} one two latest", stamp.rpartition(":")[2], "two", "one", "", "--scheduled", "",
    ]  # fmt: skip
    assert HOSTILE in _runs(two, "borgbak", "list", "--short").stdout.decode()
    assert _runs(two, "ls", "owned").returncode != 0
