"""Providers by their host's name, as golden rows: what is tried there, and in which order."""

import re
from pathlib import Path

import pytest

from qborg_maintenance import provider, setup
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire import names
from qborg_wire.services import SERVICES

GENERIC = ("generic", ("borg14", "borg12", "borg-1.4", "borg-1.2", "borg1", "borg"), None, None)
RSYNC_NET = ("rsync.net", ("borg14", "borg12"), None, ".zfs/snapshot")
HETZNER = ("hetzner", ("borg-1.4", "borg-1.2", "borg"), "23", None)
GOLDEN = {
    "backup.example": GENERIC,
    "zh1234.rsync.net": RSYNC_NET,
    "ch-s010.rsync.net": RSYNC_NET,
    "RSYNC.NET.": RSYNC_NET,
    "u123456.your-storagebox.de": HETZNER,
    "u123456-sub1.your-storagebox.de": HETZNER,
    "u1.your-backup.de": HETZNER,
    # Not theirs, though the names look alike.
    "notrsync.net": GENERIC,
    "rsync.net.example": GENERIC,
    "your-storagebox.de.evil.example": GENERIC,
    "borgbase.com": GENERIC,
    "203.0.113.5": GENERIC,
}


@pytest.mark.parametrize("host", GOLDEN)
def test_a_host_has_the_row_of_its_provider(host: str) -> None:
    row = provider.of_host(host)

    assert (row.name, row.names, row.port, row.snapshots) == GOLDEN[host]


@pytest.mark.parametrize("host", GOLDEN)
def test_a_row_holds_words_that_every_side_knows(host: str) -> None:
    row = provider.of_host(host)
    fields = {field.name: field.pattern for field in SERVICES["CheckSetup"].reply}

    assert fields["provider"].fullmatch(row.name)
    assert all(re.fullmatch(names.REMOTE_BORG, name) for name in row.names)
    for words, field in (((provider.SHELL, provider.SFTP, provider.BORG), "access"),
                         ((provider.OURS, provider.AWAITED), "keys"),
                         ((provider.YES, provider.NO, provider.UNKNOWN), "snapshots")):  # fmt: skip
        assert all(fields[field].fullmatch(word) for word in words)


@pytest.mark.parametrize(("host", "cause", "says"), [
    ("a1b2c3d4.repo.borgbase.com", "account-unusable", "an account and a path of its own"),
    ("u1.your-storagebox.de", "borg-missing", "at port 23 only"),
])
def test_an_account_that_cannot_do_is_refused_before_anything_is_made(
    tmp_path: Path, host: str, cause: str, says: str
) -> None:
    wanted = Settings("qubes", "0" * 32, host, "22", "u1", "", "probe")

    with pytest.raises(ServiceFailure) as caught:
        setup.check(State(tmp_path), wanted, setup.UNKNOWN, (), anew=True)

    assert caught.value.cause == cause and says in caught.value.detail
    assert list(tmp_path.iterdir()) == []
