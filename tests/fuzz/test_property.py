"""Properties of each parser for inputs that hypothesis thinks of, which know no structure.

The sample bends what is good; here are bytes and texts of any kind, shrunk to the least that fails.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.target import Target
from fuzz.targets import TARGETS

_TEXT = st.text(max_size=500).map(lambda text: text.encode("utf-8", "surrogatepass"))
ANY = st.one_of(st.binary(max_size=2000), _TEXT)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@settings(deadline=None)
@given(untrusted_data=ANY)
def test_any_bytes_at_all_keep_the_contract(target: Target, untrusted_data: bytes) -> None:
    assert target.one(untrusted_data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@settings(deadline=None)
@given(data=st.data())
def test_any_piece_of_good_input_keeps_the_contract(target: Target, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(target.seeds))
    first, last = (data.draw(st.integers(0, len(seed))) for _end in range(2))

    assert target.one(seed[:first] + data.draw(ANY) + seed[last:])
