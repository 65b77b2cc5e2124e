"""How a first login ended, for whoever waits for it: all of them hear it, until the next begins."""

import os
from pathlib import Path

import pytest

from qborg_maintenance import waiting
from qborg_service import volatile
from qborg_service.failure import ServiceFailure

_TOLD = {"ok": None, "failed": ServiceFailure("login-refused", "the key is still refused")}


@pytest.fixture(autouse=True)
def _memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volatile, "_MEMORY", tmp_path)
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path)


@pytest.mark.parametrize("told", _TOLD.values(), ids=_TOLD)
def test_all_that_wait_hear_it_and_the_next_login_does_not(told: ServiceFailure | None) -> None:
    waiting.tell(told)

    for _waiter in range(2):
        assert waiting.is_told()
        try:
            waiting.until_told(0)
        except ServiceFailure as failure:
            assert told is not None and failure.cause == told.cause
        else:
            assert told is None

    waiting.forget()
    assert not waiting.is_told()
    with pytest.raises(ServiceFailure) as late:
        waiting.until_told(-1)
    assert late.value.cause == "password-awaited"
