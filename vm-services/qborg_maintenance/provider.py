"""Providers as data: what is known of an account by its host's name, before it is asked.

Runs in the maintenance qube; pure. Only the names to try and the hints come from here: what an
account really offers is probed at the set-up (probe.py), since a provider's page may be old.
"""

from dataclasses import dataclass

# What an account offers us: plain commands, sftp alone, or neither (borg and nothing else).
SHELL, SFTP, BORG = "shell", "sftp", "borg"
# Who writes the list of keys: we do; or others, and then each line is shown and awaited.
OURS, AWAITED = "ours", "awaited"
# Whether the provider's own snapshots are seen; `unknown` where they may be out of sight.
YES, NO, UNKNOWN = "yes", "no", "unknown"


@dataclass(frozen=True)
class Provider:
    """One row. `names` of borg, best first; `port` where borg answers there only.

    `snapshots` is a directory that can be listed exactly if the account has snapshots; `unusable`
    says why no account there can be ours.
    """

    name: str
    suffixes: tuple[str, ...]
    names: tuple[str, ...]
    port: str | None = None
    snapshots: str | None = None
    unusable: str | None = None


GENERIC = Provider("generic", (), ("borg14", "borg12", "borg-1.4", "borg-1.2", "borg1", "borg"))
_ROWS = (
    # No shell: one plain command of a list, nothing chained. Plain `borg` went in May 2025 and
    # `borg1` is announced to go. Accounts sold for borg alone have no snapshots; the others show
    # them read-only, and they outlive a stolen admin key.
    Provider("rsync.net", ("rsync.net",), ("borg14", "borg12"), snapshots=".zfs/snapshot"),
    # A storage box. At port 22 it serves sftp only and has no borg; SSH support must be switched
    # on for port 23. A sub-account sees its own directory, and snapshots only if they are shown.
    Provider(
        "hetzner", ("your-storagebox.de", "your-backup.de"),
        ("borg-1.4", "borg-1.2", "borg"), port="23",
    ),
    # Keys and append-only are set in its web pages, and nothing but `borg serve` runs. The path of
    # a repository is `repo` there, and ours lie at repos/MACHINE-QUBE of one account.
    Provider(
        "borgbase", ("repo.borgbase.com",), (),
        unusable="each of its repositories has an account and a path of its own",
    ),
)  # fmt: skip


def of_host(host: str) -> Provider:
    """Answer the row for a host: one that it ends with, at a dot; else the generic one."""
    name = host.lower().rstrip(".")
    for row in _ROWS:
        if any(name == suffix or name.endswith(f".{suffix}") for suffix in row.suffixes):
            return row
    return GENERIC
