"""qubesdb-read: values, a default, and what is not there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parent.parent / "bin" / "qubesdb-read"


@pytest.mark.parametrize(
    ("words", "code", "output"),
    [
        (["/name"], 0, b"work\n"),
        (["--", "/name", "/qubes-service/crond"], 0, b"work\n1\n"),
        (["/name", "/no", "/empty", "/lines"], 2, b"work\n\na * \\n\n\n"),
        (["--default=x", "/no", "/name"], 0, b"x\nwork\n"),
        (["--default=", "/no"], 0, b"\n"),
        (["/%name"], 2, b""),
        ([f"/{'a' * 62}"], 0, b"long\n"),
        ([f"/{'a' * 63}"], 2, b""),
        (["/"], 2, b""),
        (["--default=x", "--unknown"], 1, b""),
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
    (database / "%empty").write_text("")
    (database / "%lines").write_text("a * \\n\n")
    for length in (62, 63):
        (database / f"%{'a' * length}").write_text("long")
    program = tmp_path / "qubesdb-read"
    program.write_text(PROGRAM.read_text().replace("/run/lab/qubesdb", str(database)))

    program.chmod(0o755)

    done = subprocess.run([program, *words], capture_output=True)

    assert (done.returncode, done.stdout) == (code, output)
