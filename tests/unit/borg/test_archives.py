"""Names of archives: from borg's JSON and from nothing else."""

import json

import pytest

from qborg_borg.outcome import Outcome
from qborg_borg import archives
from qborg_service.failure import ServiceFailure


def outcome(stdout: bytes) -> Outcome:
    """Answer a run of borg that printed this."""
    return Outcome(0, None, (), stdout)


def test_the_order_is_borgs() -> None:
    listing = {"archives": [{"name": "a"}, {"name": "b"}], "repository": {}}

    assert archives.read_names(outcome(json.dumps(listing).encode())) == ("a", "b")


BROKEN = {
    "empty": b"",
    "list": b"[]",
    "no-archives": b"{}",
    "null": b'{"archives": null}',
    "nameless": b'{"archives": [{}]}',
    "numbers": b'{"archives": [1]}',
    "cut": b'{"archives": [{"name": "a"}',
    "not-utf-8": b"\xff",
}


@pytest.mark.parametrize("stdout", BROKEN.values(), ids=BROKEN)
def test_what_is_no_list_is_a_failure(stdout: bytes) -> None:
    with pytest.raises(ServiceFailure) as failed:
        archives.read_names(outcome(stdout))

    assert failed.value.cause == "borg-failed"
