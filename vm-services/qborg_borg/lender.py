"""How borg reaches a repository with a recovery record alone: through the qube that lends it.

Runs in workers, and in clients that get another qube's files; pure.
"""

import shlex
from pathlib import Path

from qborg_borg.command import Access
from qborg_borg.recovery_record import RecoveryRecord
from qborg_service.secret import Secret
from qborg_wire.services import SERVICES

# borg puts its words for ssh behind, which the lender does not need. The policy daemon notices a
# gate with a delay; a refused call has read nothing, so that it can be made again.
_CALL = (
    'n=0; while :; do /usr/bin/qrexec-client-vm -- "$1" "$2"; s=$?; n=$((n+1)); '
    '[ "$s" = 126 ] && [ "$n" -lt 8 ] || exit "$s"; sleep 0.3; done'
)
# A qube without network has no address of its own to tell borg's locks apart by.
_HOST_ID = "qubes-borg-"


def access(
    record: RecoveryRecord, lender: str, base_dir: str, key_file: Path | None = None,
    host: str = "worker",
) -> Access:
    """Answer what opens the record's repository, with nothing but the record; `host` asks."""
    service = f"{SERVICES['ServeRepository'].full_name}+{record.repository}"
    rsh = shlex.join(["/bin/sh", "-c", _CALL, "lent", lender, service])
    return Access(
        record.repository.url, record.values["remote_borg"], rsh,
        Secret(record.values["passphrase"].encode("ascii")), base_dir, _HOST_ID + host, key_file,
    )
