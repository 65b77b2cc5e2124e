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
from qborg_service.process import Finished
from unit.maintenance.directory import WAYS, Account
from unit.maintenance.example import ADMIN_LINE


_THEIRS = b"# theirs\n"


@dataclass(frozen=True)
class _Held:
    """A lock that is ours, and stands for the server too."""

    files: Files

    @property
    def server(self) -> "_Held":
        """Answer what has the files."""
        return self

    def apart(self) -> "_Held":
        """Answer it as a login of its own."""
        return self

    def run(self, *_words: str) -> Finished:
        """Let nobody in."""
        raise ServiceFailure("login-refused", "no")

    def is_held(self) -> bool:
        """Tell that it is."""
        return True


class _Edited(Account):
    """An account in which somebody writes over what was moved in place."""

    def run(self, *words: str, stdin: bytes | None = None) -> Finished:
        """Run one command."""
        done = super().run(*words, stdin=stdin)
        if words[0] == "mv":
            (self.home / KEYS).write_bytes(_THEIRS)
        return done


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


def test_what_is_written_over_ours_is_not_said_to_be_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "home/.ssh").mkdir(parents=True)
    account = _Edited(tmp_path / "home")
    (account.home / KEYS).write_bytes(b"# before\n")
    swap = Swap(cast(Lock, _Held(WAYS["shell"](account))), b"# before\n", ADMIN_LINE)

    with pytest.raises(ServiceFailure) as refused:
        first_login._replace(swap)

    assert refused.value.cause == "list-changed"
    assert (account.home / KEYS).read_bytes() == _THEIRS
