"""The trace of a lab that has seen many calls."""

from __future__ import annotations

from lab import Lab

_MANY = """
import qubesadmin
dom0 = qubesadmin.Qubes().domains["dom0"]
for number in range(1300):
    dom0.features.get(f"a-feature-with-a-long-name-{number}")
"""


def test_a_long_trace_comes_whole_and_in_order() -> None:
    with Lab.up("bare") as lab:
        lab.faults.clear()
        lab.run(["python3", "-c", _MANY], check=True)

        names = [call["name"] for call in lab.trace() if "long-name" in call["name"]]

    assert names == [f"admin.vm.feature.Get+a-feature-with-a-long-name-{n}" for n in range(1300)]
