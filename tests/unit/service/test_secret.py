"""A secret shows nothing however it is looked at."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from qborg_service.call import Call
from qborg_service.secret import Secret
from qborg_wire.services import SERVICES

VALUE = b"hunter2-hunter2"
SECRET = Secret(VALUE)


@dataclass(frozen=True)
class Holder:
    """Something that holds one."""

    secret: Secret


SHOWN = {
    "repr": repr,
    "str": str,
    "format": lambda secret: f"{secret} {secret!r} {secret:>40}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    "list": lambda secret: str([secret]),
    "dataclass": lambda secret: str(Holder(secret)),
    "exception": lambda secret: repr(ValueError(secret)),
}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_it_does_not_show(show: Callable[[Secret], str]) -> None:
    shown = show(SECRET)

    assert "hunter2" not in shown
    assert "<secret>" in shown


@pytest.mark.parametrize("spread", [copy.copy, copy.deepcopy, json.dumps, hash])
def test_it_does_not_spread(spread: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError):
        spread(SECRET)


def test_it_answers_when_asked() -> None:
    assert SECRET.reveal() == VALUE


def test_it_can_be_compared() -> None:
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"


def test_a_call_does_not_show_its_record() -> None:
    call = Call(SERVICES["InstallBundle"], None, {}, VALUE, "maintenance", lambda _progress: None)

    assert "hunter2" not in repr(call)
