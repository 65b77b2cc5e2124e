#!py
"""Stand-in for Qubes' /srv/salt/top.sls: every top that is enabled, merged target by target.

Rendered by Salt, in dom0 and in management disposables.
"""

from pathlib import Path

import yaml


def run() -> dict[str, dict[str, list[object]]]:
    """Answer the merged top."""
    merged: dict[str, dict[str, list[object]]] = {}
    for path in sorted(Path("/srv/salt/_tops/base").glob("*.top")):
        for environment, targets in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            for target, entries in targets.items():
                known = merged.setdefault(environment, {}).setdefault(target, [])
                known.extend(entry for entry in entries if entry not in known)
    return merged
