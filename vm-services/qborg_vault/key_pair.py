"""A fresh ssh key pair, for a repository whose record comes off a printed kit.

Runs in the vault. The kit has no client's key, and a record without one is none; the server learns
the new one with the next publication.
"""

import contextlib
import secrets

from qborg_service import process, volatile
from qborg_service.failure import ServiceFailure
from qborg_service.files import read_limited

_KEYGEN = "/usr/bin/ssh-keygen"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C"}
_LIMIT = 8192


def make() -> tuple[str, str]:
    """Answer a private key and its public one, `TYPE BASE64`; no file of them stays.

    Raises ServiceFailure.
    """
    private = volatile.folder() / f"pair-{secrets.token_hex(8)}"
    public = private.with_name(f"{private.name}.pub")
    argv = [_KEYGEN, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(private)]
    try:
        finished = process.run(argv, stdin=b"", env=_ENVIRONMENT, timeout=30, limit=4096)
        if finished.code != 0:
            raise ServiceFailure("internal", "ssh-keygen could not make a key pair")
        made = [read_limited(path, _LIMIT).decode("ascii") for path in (private, public)]
    except process.ProgramMissing as error:
        raise ServiceFailure("program-missing", "ssh-keygen") from error
    except process.ProcessError as error:
        raise ServiceFailure("internal", str(error)) from error
    finally:
        for path in (private, public):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
    return made[0], " ".join(made[1].split()[:2])
