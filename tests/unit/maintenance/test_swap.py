"""The upload beside the live list of keys: whatever was left there, it writes into no live file."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from qborg_maintenance import first_login
from qborg_maintenance.files import KEYS, Files
from qborg_maintenance.remote_lock import Lock
from qborg_maintenance.swap import Swap
from qborg_maintenance.way_back import NEW
from qborg_service.failure import ServiceFailure
from unit.maintenance.directory import WAYS, Account
from unit.maintenance.example import ADMIN_LINE


@dataclass(frozen=True)
class _Held:
    """A lock that is ours, and stands for the server too."""

    files: Files

    @property
    def server(self) -> "_Held":
        """Answer what has the files."""
        return self

    def is_held(self) -> bool:
        """Tell that it is."""
        return True


# Before it is written, has its mode, is linked, and afterwards.
@pytest.mark.parametrize("dies_at", range(1, 5))
def test_a_list_whose_making_was_cut_is_not_written_into_by_the_next_upload(
    tmp_path: Path, dies_at: int
) -> None:
    (tmp_path / "home/.ssh").mkdir(parents=True)
    account = Account(tmp_path / "home")
    account.dies_at, live = dies_at, account.home / KEYS
    files = WAYS["shell"](account)
    with suppress(ServiceFailure):
        first_login._make_file(files)
    account.dies_at = None
    if not live.exists():
        first_login._make_file(files)

    Swap(cast(Lock, _Held(files)), b"", ADMIN_LINE).upload()

    assert live.read_bytes() == b"" and not live.samefile(account.home / NEW)
    assert (account.home / NEW).read_bytes() == ADMIN_LINE
