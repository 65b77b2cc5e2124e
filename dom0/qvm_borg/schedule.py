"""When a qube's backup is due: how often a person wants it, and whether anything can be new.

Runs in dom0; asks qubesd alone, so nobody is started for an answer. The qube itself reads the same
features.
"""

import hashlib
import re

from qvm_borg.qubes import Qube
from qvm_borg.record import LACKING, REVISIONS, Record

INTERVAL, USUAL = "vm-config.qborg-interval-hours", 24
_PAUSE, _MOST = "vm-config.qborg-pause", 8760


def hours(qube: Qube) -> int | None:
    """Answer the hours from one backup to the next; None if what a person said cannot be read."""
    told = qube.feature(INTERVAL) or str(USUAL)
    return int(told) if re.fullmatch("[1-9][0-9]{0,3}", told) and int(told) <= _MOST else None


def is_paused(qube: Qube) -> bool:
    """Tell whether a person wants no backup of it but by name."""
    return qube.feature(_PAUSE) == "1"


def is_clean(qube: Qube, known: Record) -> bool:
    """Tell whether dom0 itself halted it after its last backup, and nobody started it since.

    What the server was seen to lack is as good as new.
    """
    return (known.digests.get(REVISIONS) == revisions(qube) and qube.state() == "Halted"
            and qube.feature(LACKING) != known.times.get("backup"))


def revisions(qube: Qube) -> str:
    """Answer a digest of the kept revisions of its private volume; empty if none is kept.

    Each stop makes a new one. Their names and their order depend on the pool.
    """
    found = sorted(qube.admin("volume.ListSnapshots", "private").split())
    return hashlib.sha256(" ".join(found).encode()).hexdigest() if found else ""
