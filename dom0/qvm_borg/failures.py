"""What a service reported, or a call that brought no reply, as the error that a person reads.

Runs in dom0; pure. The texts lie beside it as data: failures.toml.
"""

import tomllib
from pathlib import Path
from string import Template

from qborg_wire.reply import Failure
from qvm_borg import errors
from qvm_borg.errors import QubeUnavailable, QvmBorgError, ServiceMissing, WireError

_CAUSES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="ascii"))
# exit status of a call that brought no reply; such a status is only a guess at what happened
_STATUSES: dict[int | None, tuple[type[QvmBorgError], str]] = {
    125: (QubeUnavailable, "its qrexec agent could not run the service"),
    126: (QubeUnavailable, "it refused the call"),
    127: (ServiceMissing, "it does not have the service"),
    255: (QubeUnavailable, "it went away during the call"),
}


def from_failure(qube: str, failure: Failure) -> QvmBorgError:
    """Answer the error for what a service reported; its detail has passed its own full match."""
    row = _CAUSES[failure.cause]
    kind: type[QvmBorgError] = getattr(errors, row["error"])
    hint = Template(row.get("hint", kind.hint)).substitute(vars(errors)).replace("NAME", qube)
    detail = f" ({told})" if (told := failure.detail.removeprefix(f"{qube}: ")).strip("- ") else ""
    return kind(f"{qube}: {row['message']}{detail}", hint)


def from_status(qube: str, service: str, status: int | None) -> QvmBorgError:
    """Answer the error for a call that ended with no reply at all."""
    kind, message = _STATUSES.get(status, (WireError, "it did not answer"))
    return kind(f"{qube}: {message} ({service})", kind.hint.replace("NAME", qube))
