"""A cache directory of a test's own, so that labs of others on this machine do not meddle."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import template


def own_cache(directory: Path, patch: pytest.MonkeyPatch) -> None:
    """Let labs started from now on keep their places in DIRECTORY, but share the built trees."""
    templates = template.cache_dir() / "templates"
    template.ensure()
    (directory / "qubes-borg-lab").mkdir()
    (directory / "qubes-borg-lab/templates").symlink_to(templates)
    patch.setenv("XDG_CACHE_HOME", str(directory))
