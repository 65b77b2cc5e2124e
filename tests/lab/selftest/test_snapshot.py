"""Keeping the whole lab and putting it back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab import Lab, LabError

REVISIONS = (
    "import qubesadmin;"
    "print([v.revisions for v in (qubesadmin.Qubes().domains['personal'].volumes['private'],)])"
)


@pytest.fixture(scope="module", name="lab")
def fixture_lab() -> Iterator[Lab]:
    """Bring up the world without the product, with one qube that has run before."""
    with Lab.up("bare") as lab:
        lab.do("start", "personal")
        lab.do("shutdown", "personal")
        yield lab


def _touch(lab: Lab, qube: str, path: str) -> None:
    lab.exec(qube, ["touch", path], user="root", check=True, timeout=60)


def _there(lab: Lab, qube: str, path: str) -> bool:
    return lab.exec(qube, ["test", "-e", path], timeout=60).returncode == 0


def test_restore_brings_back_every_part(lab: Lab) -> None:
    _touch(lab, "work", "/home/user/before")
    lab.snapshot("a")
    for qube, path in (("work", "/home/user/after"), ("dom0", "/etc/after"),
                       ("server", "/home/zh1234/after")):  # fmt: skip
        _touch(lab, qube, path)
    lab.do("kill", "work")
    lab.do("start", "vault")
    key = lab.server.host_key()

    lab.restore("a")

    states = {name: qube["state"] for name, qube in lab.qubes().items()}
    assert (states["work"], states["vault"]) == ("Running", "Halted")
    assert _there(lab, "work", "/home/user/before")
    for qube, path in (("work", "/home/user/after"), ("dom0", "/etc/after"),
                       ("server", "/home/zh1234/after")):  # fmt: skip
        assert not _there(lab, qube, path)
    assert lab.server.host_key() == key


def test_snapshot_changes_nothing_that_can_be_seen(lab: Lab) -> None:
    before = lab.run(["python3", "-c", REVISIONS], check=True).stdout
    with lab.popen("work", ["sh", "-c", "read x; echo $x"]) as process:
        lab.snapshot("b")

        process.stdin.write(b"still here\n")
        assert process.stdout.readline() == b"still here\n"
    assert lab.run(["python3", "-c", REVISIONS], check=True).stdout == before
    assert before != b"[[]]\n"


def test_restore_brings_back_revisions(lab: Lab) -> None:
    lab.snapshot("c")
    before = lab.run(["python3", "-c", REVISIONS], check=True).stdout
    lab.do("start", "personal")
    lab.do("shutdown", "personal")
    assert lab.run(["python3", "-c", REVISIONS], check=True).stdout != before

    lab.restore("c")

    assert lab.run(["python3", "-c", REVISIONS], check=True).stdout == before


def test_restore_can_be_done_again_and_again(lab: Lab) -> None:
    lab.snapshot("d")
    started = time.monotonic()
    for number in range(5):
        _touch(lab, "work", f"/home/user/{number}")
        lab.restore("d")
        assert not _there(lab, "work", f"/home/user/{number}")
    assert time.monotonic() - started < 150


@pytest.mark.parametrize("label", ["none", "../x", "", "."])
def test_a_wrong_label_is_refused_and_changes_nothing(lab: Lab, label: str) -> None:
    with pytest.raises(LabError):
        lab.restore(label)

    assert lab.qubes()["work"]["state"] == "Running"
