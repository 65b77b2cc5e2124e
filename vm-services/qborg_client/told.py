"""As much of a list as a reply holds, as JSON of printable ASCII, and how much it does not hold.

Runs in clients; pure.
"""

import json
from collections.abc import Sequence

LIMIT = 60000  # characters: that of ARCHIVES and NAMES in the services table


def fitting(items: Sequence[object]) -> tuple[str, int]:
    """Answer a list of the first items, and how many are left out."""
    words, length = [], 1
    for item in items:
        # A byte that JSON leaves as it is, and that no reply may hold.
        word = json.dumps(item, separators=(",", ":")).replace("\x7f", "\\u007f")
        length += 1 + len(word)
        if length > LIMIT:
            break
        words.append(word)
    return f"[{','.join(words)}]", len(items) - len(words)
