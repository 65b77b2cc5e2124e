"""qubesdb-read: values, a default, and what is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parent.parent / "bin" / "qubesdb-read"


@pytest.mark.parametrize(
    ("words", "code", "output"),
    [
        (["/name"], 0, b"work\n"),
        (["--", "/name", "/qubes-service/crond"], 0, b"work\n1\n"),
        (["/no"], 2, b""),
        (["--default=x", "/no"], 0, b"x\n"),
        (["/../secret"], 2, b""),
        (["name"], 2, b""),
        (["--unknown", "/name"], 1, b""),
        ([], 1, b""),
    ],
)
def test_values_are_printed(tmp_path: Path, words: list[str], code: int, output: bytes) -> None:
    """A key that is not there is 2, a wrong call 1."""
    database = tmp_path / "qubesdb"
    database.mkdir()
    (tmp_path / "secret").write_text("x")
    (database / "%name").write_text("work")
    (database / "%qubes-service%crond").write_text("1")
    program = tmp_path / "qubesdb-read"
    program.write_text(PROGRAM.read_text().replace("/run/lab/qubesdb", str(database)))

    done = subprocess.run([sys.executable, "-IS", str(program), *words], capture_output=True)

    assert (done.returncode, done.stdout) == (code, output)
