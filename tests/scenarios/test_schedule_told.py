"""What dom0 and the user say of the schedule, what a preview says, and what the journal keeps."""

import json
import re
import time

from lab import Lab
from lab.client import RunResult
from scenarios import bent, journal, person, sleeper, state

SETTINGS, PATTERNS = sleeper.SETTINGS, "/home/user/.config/qubes-borg/patterns"


def _noted(lab: Lab) -> list[str]:
    """Answer the journal's lines without their time and process."""
    lines = journal.kept(lab, "work").decode().splitlines()
    return [re.sub(r"<(\d+)>.* qborg-run\[\d+\]: ", r"\1 ", line.rstrip("\x00")) for line in lines]


def _succeeded(lab: Lab, hours: int) -> None:
    text = json.dumps({"success": int(time.time()) - hours * 3600, "outcome": "ok"})
    lab.exec("work", ["dd", "status=none", f"of={sleeper.LAST}"], input=text.encode(), check=True)


def _says(lab: Lab, feature: str, value: str) -> None:
    bent.in_dom0(lab, f'app.domains["work"].features["vm-config.{feature}"] = "{value}"')


def _does(lab: Lab, *words: str) -> RunResult:
    done = lab.exec("work", ["qborg-run", *words])
    assert done.returncode == 0, done
    return done


def _sets(lab: Lab, line: str) -> None:
    lab.exec("work", ["sh", "-c", f"echo '{line}' >> {SETTINGS}"], check=True)


def test_dom0_says_how_often_unless_the_qube_does(enrolled: Lab) -> None:
    _succeeded(enrolled, 2)
    _does(enrolled, "--scheduled")
    _says(enrolled, "qborg-interval-hours", "often")
    _does(enrolled, "--scheduled")
    assert len(state.archives(enrolled)) == 1
    _says(enrolled, "qborg-interval-hours", "1")
    _sets(enrolled, "interval_hours = 5")
    _does(enrolled, "--scheduled")
    assert len(state.archives(enrolled)) == 1
    enrolled.exec("work", ["sed", "-i", "/^interval_hours/d", SETTINGS], check=True)

    with journal.listens(enrolled, "work"):
        _does(enrolled, "--scheduled")
        _does(enrolled, "--scheduled")
        enrolled.server.stop_sshd()
        _succeeded(enrolled, 2)
        assert enrolled.exec("work", sleeper.SCHEDULED).returncode == 1

        made, failed = _noted(enrolled)
        enrolled.server.start_sshd()

    assert len(state.archives(enrolled)) == 2
    assert re.fullmatch(r"14 work-[0-9T:-]+: \d+ files, \d+ bytes, \d+ new, 0 warnings", made)
    assert failed.startswith("11 server-unreachable: ")


def test_whoever_asks_for_a_run_it_leaves_a_line(enrolled: Lab) -> None:
    with journal.listens(enrolled, "work"):
        _does(enrolled)
        person.runs(enrolled, "qvm-borg-backup", "work")
        enrolled.server.stop_sshd()
        assert enrolled.exec("work", ["qborg-run"]).returncode == 1
        person.is_refused(enrolled, "qvm-borg-backup", "work", code=17, says="reached")
        noted = [line for line in _noted(enrolled) if re.match("1[14] ", line)]
        enrolled.server.start_sshd()

    assert [line.partition(": ")[0].partition("-")[0] for line in noted] == [
        "14 work", "14 work", "11 server", "11 server"]


def test_a_paused_schedule_waits_and_a_backup_by_hand_does_not(enrolled: Lab) -> None:
    _succeeded(enrolled, 100)
    _says(enrolled, "qborg-pause", "1")
    with journal.listens(enrolled, "work"):
        _does(enrolled, "--scheduled")
        assert _noted(enrolled) == ["14 due, but paused by dom0 (vm-config.qborg-pause)"]
    assert "; paused by dom0" in _does(enrolled, "--preview").stdout.decode()

    _says(enrolled, "qborg-pause", "0")
    _sets(enrolled, "pause_if_metered = 1")
    bent.replaces(enrolled, "work", "/usr/bin/busctl", "u 3")
    _does(enrolled, "--scheduled")
    assert len(state.archives(enrolled)) == 1

    by_hand = _does(enrolled)
    assert by_hand.stderr == b"note: scheduled backups are paused while the network is metered\n"
    assert len(state.archives(enrolled)) == 2


def test_a_preview_says_what_is_to_come_and_changes_nothing(enrolled: Lab) -> None:
    script = """mkdir -p ~/.cache ~/files ~/locked
    head -c 3000000 /dev/zero > ~/.cache/much; head -c 70000 /dev/urandom > ~/files/new
    chmod 0 ~/locked; touch ~/before; sleep 1.1"""
    enrolled.exec("work", ["sh", "-euc", script], check=True)
    enrolled.server.stop_sshd()

    lines = _does(enrolled, "--preview").stdout.decode().splitlines()
    told = json.loads(_does(enrolled, "--preview", "--json").stdout)

    newer = ["find", "/home/user", "-newer", "/home/user/before"]
    assert enrolled.exec("work", newer).stdout == b""
    assert len(lines) <= 12 and lines[0].startswith("work as qubes-work: backed up ")
    assert any(line.endswith("  /home/user/.cache") and "2.9 MiB" in line for line in lines)
    assert any(line.startswith("unreadable 1, such as /home/user/locked") for line in lines)
    assert 70_000 < told["new"]["size"] < 100_000 and told["left_out"]["size"] > 3_000_000
    assert told["schedule"]["whose"] == "default"
    enrolled.server.start_sshd()
    made = json.loads(_does(enrolled, "--json").stdout)
    after = json.loads(_does(enrolled, "--preview", "--json").stdout)

    assert 70_000 < made["sent"] < told["new"]["size"] + 50_000
    assert after["new"]["size"] < 10_000 < 70_000 < after["taken"]["size"]

    enrolled.exec("work", ["sed", "-i", "/cache/d", PATTERNS], check=True)
    more = _does(enrolled, "--preview").stdout.decode()
    taken = json.loads(_does(enrolled, "--preview", "--json").stdout)
    made = json.loads(_does(enrolled, "--json").stdout)
    assert "the patterns changed since" in more and made["size"] > 3_000_000
    assert taken["patterns_changed"] and taken["new"] == taken["taken"]
    assert taken["new"]["size"] + 50_000 > made["size"]

    enrolled.exec("work", ["sh", "-c", f"echo 'R /home/user/no' >> {PATTERNS}"], check=True)
    wrong = enrolled.exec("work", ["qborg-run", "--preview"])
    assert wrong.returncode == 1 and wrong.stderr.startswith(b"error: source-missing: ")
