"""The record of every program that a lab starts."""

from __future__ import annotations

from pathlib import Path

from lab import Lab


def test_a_recorded_lab_tells_each_argument_and_the_whole_environment(tmp_path: Path) -> None:
    record = tmp_path / "record"
    long = "x" * 100_000

    with Lab.up("bare", record=record) as lab:
        for machine in ("dom0", "server", "work"):
            argv = ["true", f"to {machine}", long]
            lab.exec(machine, argv, user="root", env={"TOLD": machine}, check=True)
            at_once = record.read_text(encoding="ascii")
            assert f'"true", "to {machine}", "{long}"]' in at_once
            assert f'"TOLD={machine}"' in at_once
    lines = record.read_text(encoding="ascii").splitlines()

    assert len(lines) > 3 and not [line for line in lines if '"...' in line]


def test_a_recorded_lab_leaves_setgid_programs_their_group(tmp_path: Path) -> None:
    with Lab.up("bare", record=tmp_path / "record") as lab:
        lab.exec("work", ["crontab", "-"], input=b"1 2 3 4 5 true\n", check=True)

        assert b"1 2 3" in lab.exec("work", ["crontab", "-l"], check=True).stdout
