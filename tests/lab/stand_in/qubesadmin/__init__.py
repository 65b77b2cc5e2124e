"""Stand-in for Qubes' client library, for a lab that was not given the genuine one.

Runs in the lab's dom0. It speaks the same protocol to the same socket and has the genuine
names, signatures and exceptions of what dom0 programs use. What it does not have is an
AttributeError or ImportError. It knows nothing of the lab.
"""

from __future__ import annotations

from qubesadmin import app, base, config, exc, vm

DEFAULT = base.DEFAULT
Qubes = app.QubesLocal

__all__ = ["DEFAULT", "Qubes", "app", "base", "config", "exc", "vm"]
