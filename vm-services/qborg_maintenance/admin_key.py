"""The admin key: the one that may change the server's authorized_keys.

Runs in the maintenance qube and never leaves it.
"""

import os
import shutil
import tempfile
from pathlib import Path

from qborg_maintenance import keypair
from qborg_maintenance.state import State
from qborg_service.files import sync_directory


def ensure(state: State, machine: str) -> str:
    """Answer the admin's public key as `TYPE BASE64`; the pair is made if there is none."""
    if not state.admin_key.exists():
        state.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Both files or none: a private key without its half would be used and never shown.
        made = Path(tempfile.mkdtemp(prefix=".admin.", dir=state.root))
        try:
            keypair.make(made / state.admin_key.name, f"qubes-borg-admin-{machine}")
            os.rename(made, state.admin)
        except BaseException:
            shutil.rmtree(made)
            raise
        sync_directory(state.root)
    return keypair.public_key(state.admin_key)
