"""A few thousand bent inputs for each parser, always the same ones; `make fuzz` runs many more."""

import dataclasses

import pytest

from fuzz import loop
from fuzz.target import Target, Vocabulary
from fuzz.targets import TARGETS, rows
from qborg_wire import request
from qborg_wire.services import SERVICES

INPUTS = 3000
SEED = 1
VOCABULARY = Vocabulary(request)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_parser_keeps_its_contract(target: Target) -> None:
    tally = loop.sample(target, INPUTS, SEED)

    assert tally.inputs == INPUTS
    assert len(tally.outcomes) > 1


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_seed_is_within_the_limit_and_one_is_accepted(target: Target) -> None:
    told = [target.one(seed) for seed in target.seeds]

    assert all(len(seed) <= target.head + target.limit for seed in target.seeds)
    assert any("accepted" in each or "no lines refused" in each or "to be published" in each
               for each in told)


def test_every_row_of_the_services_table_is_fed() -> None:
    limits = {row.name: row.limit for row in SERVICES.values() if row not in rows.ROWS}

    assert {name: TARGETS[target].limit for name, target in rows.RECORDS.items()} == limits


def test_the_same_seed_makes_the_same_inputs() -> None:
    target, seen = TARGETS["reply"], []
    recorded = dataclasses.replace(target, one=lambda data: seen.append(data) or target.one(data))

    loop.sample(recorded, 500, SEED)
    loop.sample(recorded, 500, SEED)

    assert seen[:500] == seen[500:]
    assert len(set(seen)) > 400


def test_a_broken_contract_is_found_and_its_input_kept() -> None:
    def careless(data: bytes) -> str:
        assert b"dom-vault" not in data
        return TARGETS["bundle"].one(data)

    with pytest.raises(loop.Broken) as caught:
        loop.sample(dataclasses.replace(TARGETS["bundle"], one=careless), INPUTS, SEED)

    assert b"dom-vault" in caught.value.path.read_bytes()
    assert str(caught.value.path.name) in caught.value.hint
    caught.value.path.unlink()


def test_a_refusal_that_repeats_its_input_is_noticed() -> None:
    def repeating(data: bytes) -> str:
        return VOCABULARY.told(f"the request is not {data[:8]!r}")

    target = dataclasses.replace(TARGETS["request"], one=repeating)

    with pytest.raises(loop.Broken) as caught:
        loop.sample(target, 10, SEED)
    caught.value.path.unlink()
