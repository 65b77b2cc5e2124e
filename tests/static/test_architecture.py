"""docs/architecture.md is what a newcomer reads first: its steps, services, decisions are true."""

import re

from qborg_wire.services import SERVICES
from qvm_borg.enrolment import ORDER
from static import tree

NAME = "docs/architecture.md"
TEXT = tree.text(NAME)


def test_it_can_be_read_in_one_sitting() -> None:
    assert len(TEXT.splitlines()) <= 200


def test_the_steps_of_an_enrolment_are_those_of_the_code() -> None:
    assert tuple(re.findall(r"^\d+\. \*\*([a-z]+)\*\*", TEXT, re.M)) == ORDER


def test_a_service_that_is_named_is_there() -> None:
    named = re.findall(r"`([A-Z][a-z]+[A-Z][A-Za-z]+)`", TEXT)

    assert len(named) > 20 and set(named) <= set(SERVICES)


def test_every_decision_is_found_from_here() -> None:
    records = {name.removeprefix("docs/") for name in tree.files() if name.startswith("docs/adr/")}

    assert set(re.findall(r"\((adr/[^)]+)\)", TEXT)) == records


def test_a_module_that_is_named_is_there() -> None:
    # test_repository.py looks for whole paths; here a folder has to be one too.
    for path in re.findall(r"`((?:dom0|vm-services)/[\w./-]+)`", TEXT):
        if "ROLE" not in path:
            assert (tree.ROOT / path).is_dir() == path.endswith("/"), path
