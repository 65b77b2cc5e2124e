"""The bundle with another name of the server's borg: that value changes, and nothing else."""

import pytest

from qborg_borg.bundle import BundleRefused, match_bundle, with_values
from unit.borg.bundles import record

GOOD = record()


def test_another_name_for_borg_changes_that_alone() -> None:
    renamed = with_values(match_bundle(GOOD, "work"), {"remote_borg": "borg12"})

    assert renamed == match_bundle(record(remote_borg="borg12"), "work")
    assert with_values(renamed, {"remote_borg": "borg14"}) == match_bundle(GOOD, "work")


@pytest.mark.parametrize("name", ["", "borg 14", "/bin/borg", "borg;x", "b" * 40])
def test_a_name_for_borg_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BundleRefused):
        with_values(match_bundle(GOOD, "work"), {"remote_borg": name})
