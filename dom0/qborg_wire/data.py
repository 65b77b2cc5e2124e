"""What lies beside a module as data: small TOML files that are installed with it.

Used on every side; each is read once. Nothing else of the contract reads a file.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any


@cache
def beside(module: str, name: str = "") -> dict[str, Any]:
    """Answer what NAME.toml beside a module's `__file__` says; without NAME, that of its stem.

    Nobody may change it.
    """
    path = Path(module)
    return tomllib.loads(path.with_name(f"{name or path.stem}.toml").read_text(encoding="ascii"))
