"""Which borgmatic is there: as its files say, and where only it itself can say."""

import sys
from pathlib import Path

import pytest

from bootstrap import BORGMATICS
from qborg_borg import command
from qborg_client import effective, installed
from qborg_service.failure import ServiceFailure

OURS = f"#!{sys.executable}\n"
SCRIPTS = {
    "debians": (OURS, True),
    "fedoras": (f"#!{sys.executable} -sP\n", True),
    "other-interpreter": ("#!/opt/venv/bin/python3\n", False),
    "other-option": (f"#!{sys.executable} -S\n", False),
    "looks-for-its-interpreter": ("#!/usr/bin/env python3\n", False),
    "shell": ("#!/bin/sh\n", False),
    "no-script": ("\x7fELF", False),
    "empty": ("", False),
    "not-there": (None, False),
}
PLACES = {
    "debians": ([["borgmatic", "borgmatic-1.9.14.dist-info", "borg"]], (1, 9, 14)),
    "egg": ([["borgmatic", "borgmatic-1.8.3.egg-info"]], (1, 8, 3)),
    "of-a-developer": ([["borgmatic", "borgmatic-2.0.0.dev0.dist-info"]], (2, 0, 0)),
    "same-twice": ([["borgmatic", "borgmatic-2.0.1.dist-info"]] * 2, (2, 0, 1)),
    "another-in-front": ([["borgmatic", "borgmatic-2.0.1.dist-info"],
                          ["borgmatic", "borgmatic-1.9.14.dist-info"]], None),
    "left-behind": ([["borgmatic", "borgmatic-2.0.1.dist-info", "borgmatic-1.9.14.dist-info"]],
                    None),
    "no-modules": ([["borgmatic-1.9.14.dist-info"]], None),
    "no-metadata": ([["borgmatic", "borgmatic_api-1.0.dist-info"]], None),
    "no-number": ([["borgmatic", "borgmatic-x.dist-info"]], None),
    "none": ([], None),
}


def _places(folder: Path, places: list[list[str]]) -> list[str]:
    for number, names in enumerate(places):
        for name in names:
            (folder / str(number) / name).mkdir(parents=True)
    return [str(folder / str(number)) for number in range(len(places) + 1)]


def _script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def _told(program: str, places: list[str]) -> effective.Version | None:
    return installed.told_by_files(program, "borgmatic", "borgmatic", places)


@pytest.mark.parametrize(("text", "is_told"), SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_that_runs_as_we_do_need_not_be_started(
    tmp_path: Path, text: str | None, is_told: bool
) -> None:
    places = _places(tmp_path, [["borgmatic", "borgmatic-1.9.14.dist-info"]])
    program = str(tmp_path / "x") if text is None else _script(tmp_path / "x", text)

    assert _told(program, places) == ((1, 9, 14) if is_told else None)


@pytest.mark.parametrize(("places", "version"), PLACES.values(), ids=PLACES)
def test_only_one_version_with_its_modules_is_believed(
    tmp_path: Path, places: list[list[str]], version: tuple[int, int, int] | None
) -> None:
    program = _script(tmp_path / "x", OURS)

    assert _told(program, _places(tmp_path, places)) == version


@pytest.mark.parametrize("version", BORGMATICS)
def test_a_genuine_one_is_told(tmp_path: Path, version: str) -> None:
    program, folder = _script(tmp_path / "x", OURS), Path(sys.prefix) / "borgmatic" / version

    told = _told(program, [str(folder)])

    assert told is not None and effective.format_version(told) == version


RUN = {
    "both": ("echo borg 1.4.0", "echo 2.0.13", None),
    "borg-is-broken": ("exit 1", "echo 2.0.13", "borg-missing"),
    "borgmatic-is-broken": ("echo borg 1.4.0", "echo ImportError >&2; exit 1",
                            "borgmatic-missing"),
    "neither-runs": ("exit 1", "exit 1", "borg-missing"),
}


@pytest.mark.parametrize(("borg", "borgmatic", "cause"), RUN.values(), ids=RUN)
def test_what_does_not_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, borg: str, borgmatic: str, cause: str | None
) -> None:
    monkeypatch.setattr(command, "BORG", _script(tmp_path / "borg", f"#!/bin/sh\n{borg}\n"))
    program = _script(tmp_path / "borgmatic", f"#!/bin/sh\n{borgmatic}\n")
    monkeypatch.setattr(installed, "BORGMATIC", program)

    if cause is None:
        installed.require_running()
        return
    with pytest.raises(ServiceFailure) as failed:
        installed.require_running()
    assert failed.value.cause == cause


USABLE = {
    "no-borg": (None, "echo 2.0.13", "borg-missing"),
    "no-borgmatic": ("exit 1", None, "borgmatic-missing"),
    "too-old": ("exit 1", "echo 1.7.15", "borgmatic-missing"),
    "good": ("exit 1", "echo 1.8.0", None),  # that borg does not run shows later
}


@pytest.mark.parametrize(("borg", "borgmatic", "cause"), USABLE.values(), ids=USABLE)
def test_what_no_backup_can_be_made_with_is_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, borg: str | None, borgmatic: str | None,
    cause: str | None,
) -> None:
    for module, constant, text in (
        (command, "BORG", borg), (installed, "BORGMATIC", borgmatic)
    ):  # fmt: skip
        path = tmp_path / constant
        monkeypatch.setattr(module, constant, str(path))
        if text is not None:
            _script(path, f"#!/bin/sh\n{text}\n")

    if cause is None:
        assert installed.usable() == (1, 8, 0)
        return
    with pytest.raises(ServiceFailure) as failed:
        installed.usable()
    assert failed.value.cause == cause


def test_another_distribution_beside_it_is_not_the_one(tmp_path: Path) -> None:
    program = _script(tmp_path / "borg", OURS)
    places = _places(tmp_path, [["borgmatic", "borgmatic-1.9.14.dist-info"],
                                ["borg", "borgbackup-1.4.3.egg-info"]])

    assert installed.told_by_files(program, "borgbackup", "borg", places) == (1, 4, 3)
