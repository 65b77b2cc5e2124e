"""The table role -> packages and commands, which stands in setup.py, for who checks against it.

setup.py is a program at the root: it is loaded from there, which does nothing.
"""

import importlib.util
import sys
from types import ModuleType

from static import tree


def load_setup() -> ModuleType:
    """Answer setup.py as a module; loading it must do nothing."""
    spec = importlib.util.spec_from_file_location("qubes_borg_setup", tree.ROOT / "setup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SETUP = load_setup()
VM_ROLES = tuple(role for role in SETUP.ROLES if role != "dom0")
