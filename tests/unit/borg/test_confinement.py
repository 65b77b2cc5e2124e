"""borg where only the named directories can be written to, or as it is where that is not possible.

Debian 12's mount cannot do it, so there the first ones show that this is noticed; the scenarios run
in a template whose mount can.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qborg_borg import command, confinement
from qborg_borg.command import Access
from qborg_borg.process import run_borg
from qborg_service.secret import Secret

_TOLD = subprocess.run(["/bin/mount", "--version"], capture_output=True, check=True).stdout
ABLE = tuple(map(int, re.findall(r"[0-9]+", _TOLD.decode())[:2])) >= (2, 39)
# Writes a file at each of the paths, and prints those that it could write.
WRITES = """
import os, sys
for path in sys.argv[1:]:
    try:
        open(path, "w").close()
    except OSError:
        continue
    print(path)
print(os.getuid(), open("/proc/self/status").read().partition("CapEff:")[2].split()[0], os.getcwd())
"""


def test_only_the_named_directories_can_be_written_to(tmp_path: Path) -> None:
    for name in ("a b", "c", "d"):
        (tmp_path / name).mkdir()
    (tmp_path / "a b" / "way-out").symlink_to(tmp_path / "d")
    allowed = [tmp_path / "a b", tmp_path / "c"]
    paths = [f"{tmp_path}/{name}" for name in ("a b/x", "c/x", "d/x", "x", "a b/way-out/x")]
    assert confinement.possible(allowed) == ABLE

    argv = confinement.confined([sys.executable, "-I", "-c", WRITES, *paths], allowed)
    done = subprocess.run(argv, capture_output=True, check=True, cwd=tmp_path / "a b")

    *written, about = done.stdout.decode().splitlines()
    assert written == paths[: 2 if ABLE else 5]
    assert about.startswith(f"{os.getuid()} ") and about.endswith(f" {tmp_path}/a b")
    assert not ABLE or " 0000000000000000 " in about or not os.getuid()


def test_a_link_out_of_them_cannot_be_made_hard(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").touch()
    program = ["/bin/ln", str(tmp_path / "out"), str(tmp_path / "in" / "out")]

    done = subprocess.run(confinement.confined(program, [tmp_path / "in"]), check=False)

    assert bool(done.returncode) == ABLE == (not (tmp_path / "in" / "out").exists())


def test_a_program_that_is_missing_fails_as_itself(tmp_path: Path) -> None:
    assert confinement.confined(["/no/borg", "x"], [tmp_path]) == ["/no/borg", "x"]


def test_where_it_is_not_possible_the_program_is_run_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "_UNSHARE", "/bin/false")

    assert not confinement.possible([tmp_path])
    assert confinement.confined(["/bin/true"], [tmp_path]) == ["/bin/true"]


@pytest.mark.parametrize("missing", ["no-such", "a/b"])
def test_a_directory_that_is_not_there_is_no_confinement(tmp_path: Path, missing: str) -> None:
    assert not confinement.possible([tmp_path / missing])


def test_what_borg_keeps_meanwhile_lies_beside_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import tempfile; print(tempfile.mkdtemp())"
    argv = [sys.executable, "-I", "-c", program]
    monkeypatch.setattr(command, "argv", lambda _access, _tail: argv)
    access = Access("ssh://x/./repos/m-work", "borg", "ssh", Secret(b"x"))

    outcome = run_borg([], access, timeout=60, cwd=str(tmp_path), writable=[tmp_path])

    kept = Path(outcome.stdout.decode().strip())
    assert outcome.code == 0 and kept.is_absolute() and tmp_path not in kept.parents
    assert not kept.parent.exists() and os.listdir(tmp_path) == []
