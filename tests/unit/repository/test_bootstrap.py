"""tests/bootstrap.py: what is missing is shown first, and nothing changes without a yes.

It runs as a process, in a folder that looks like a fresh clone.
"""

import contextlib
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PYTHON = "/usr/bin/python3"


@pytest.fixture(name="clone")
def fixture_clone(tmp_path: Path) -> Path:
    """Return a folder with the bootstrap and the requirements, and nothing installed."""
    (tmp_path / "tests").mkdir()
    for name in ("tests/bootstrap.py", "tests/needed.py", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(clone: Path, goal: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it as make does, without a terminal."""
    command = [PYTHON, "-B", "tests/bootstrap.py", goal]
    environment = {"PATH": os.defpath, "HOME": str(clone), **variables}
    return subprocess.run(
        command, cwd=clone, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True,
    )  # fmt: skip


def contents(clone: Path) -> set[str]:
    """Return everything that lies in the clone."""
    return {str(path.relative_to(clone)) for path in clone.rglob("*")}


def finish_venv(clone: Path) -> None:
    """Make the clone look as if its .venv had been finished before."""
    script = "import bootstrap; bootstrap.VENV.mkdir(); print(end=bootstrap.venv_stamp())"
    command = [PYTHON, "-B", "-c", script]
    stamp = subprocess.check_output(command, cwd=clone / "tests", text=True)
    (clone / ".venv/ready").write_text(stamp)


def test_without_a_terminal_it_shows_the_commands_and_changes_nothing(clone: Path) -> None:
    before = contents(clone)

    done = run(clone, "check")

    assert done.returncode == 3
    assert "  /usr/bin/python3 -m venv --clear .venv\n" in done.stdout
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    assert "YES=1 make check" in done.stderr
    assert contents(clone) == before


@pytest.mark.parametrize("answer", ["0", "yes", ""], ids=["zero", "word", "empty"])
def test_only_yes_equal_one_answers_the_question(clone: Path, answer: str) -> None:
    assert run(clone, "check", YES=answer).returncode == 3


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"\x04"], ids=["no", "enter", "end-of-file"])
def test_a_person_who_does_not_say_yes_changes_nothing(clone: Path, answer: bytes) -> None:
    before = contents(clone)
    leader, terminal = pty.openpty()

    process = subprocess.Popen(
        [PYTHON, "-B", "tests/bootstrap.py", "check"], cwd=clone, stdin=terminal, stdout=terminal,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={"PATH": os.defpath, "HOME": str(clone)},
    )  # fmt: skip
    os.write(leader, answer)
    _out, errors = process.communicate(timeout=60)
    os.close(terminal)
    shown = ""
    with contextlib.suppress(OSError):  # the end; what was echoed may come by itself, and first
        while chunk := os.read(leader, 65536):
            shown += chunk.decode()
    os.close(leader)

    assert process.returncode == 3
    assert "Run these commands now? [y/N]" in shown
    assert "nothing was changed" in errors
    assert contents(clone) == before


def test_the_second_time_nothing_is_installed(clone: Path) -> None:
    finish_venv(clone)

    done = run(clone, "check")

    assert (done.returncode, done.stdout) == (0, "make check: nothing to install\n")


def test_other_requirements_make_the_venv_stale(clone: Path) -> None:
    finish_venv(clone)
    with (clone / "requirements-dev.txt").open("a") as file:
        file.write("another==1.0\n")

    assert run(clone, "check").returncode == 3


def test_a_lab_whose_template_is_not_built_asks_before_it_builds(tmp_path: Path) -> None:
    done = run(ROOT, "demo", XDG_CACHE_HOME=str(tmp_path))

    assert done.returncode == 3
    assert f"built once in {tmp_path}/qubes-borg-lab/templates" in done.stdout
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_each_borgmatic_comes_once_and_again_with_another_venv(clone: Path) -> None:
    script = "import bootstrap; step = bootstrap.borgmatic_step(); print(step and step.title)"
    asked = [PYTHON, "-B", "-c", script]
    finish_venv(clone)
    (clone / ".venv/borgmatic/2.0.13/borgmatic-2.0.13.dist-info").mkdir(parents=True)

    one = subprocess.check_output(asked, cwd=clone / "tests", text=True)
    (clone / ".venv/borgmatic/2.1.10/borgmatic-2.1.10.dist-info").mkdir(parents=True)
    none = subprocess.check_output(asked, cwd=clone / "tests", text=True)
    (clone / ".venv/ready").unlink()
    both = subprocess.check_output(asked, cwd=clone / "tests", text=True)

    assert (one, none) == ("borgmatic 2.1.10, in .venv/borgmatic\n", "None\n")
    assert both == "borgmatic 2.0.13 and 2.1.10, in .venv/borgmatic\n"


def test_a_wrong_goal_is_a_usage_error(clone: Path) -> None:
    assert run(clone, "everything").returncode == 2


def test_a_missing_program_names_its_package_and_sudo_for_a_user() -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    import bootstrap

    absent = bootstrap.Package("no-such-package", ("no-such-program",))
    present = bootstrap.Package("coreutils", ("ls",))

    step = bootstrap.package_step([present, absent])

    assert step is not None and step.root
    lines = bootstrap.command_lines([step], ("sudo",))
    assert [line[0] for line in lines] == ["sudo", "sudo"]
    assert lines[1][-1] == "no-such-package"
    assert bootstrap.package_step([present]) is None
