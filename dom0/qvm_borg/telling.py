"""What dom0 tells a person, by a key: lines.toml, and as errors refusals.toml and failures.toml.

Runs in dom0; pure. A $field is what the caller names, $SETUP and the like a text of errors.toml.
A refusal is dom0's own; a failure is what a service reported, or a call that brought no reply.
"""

from functools import partial

from qborg_wire import data
from qvm_borg import errors

_told = partial(data.beside, __file__)  # read when there is something to tell


def load() -> None:
    """Read all of it now."""
    for name in ("lines", "refusals", "failures"):
        _told(name)


def text(key: str, /, **fields: object) -> str:
    """Answer a line; raises KeyError for a field that is not given."""
    return errors.filled(_told("lines")[key], **fields)


def refusal(key: str, /, **fields: object) -> errors.QvmBorgError:
    """Answer the error to raise; without a hint of its own it has that of its class."""
    row = _told("refusals")[key]
    kind: type[errors.QvmBorgError] = getattr(errors, row["error"])
    return kind(errors.filled(row["message"], **fields),
                errors.filled(row.get("hint", ""), **fields))


def from_failure(subject: object, cause: str, detail: str = "-",
                 **whose: object) -> errors.QvmBorgError:
    """Answer the error for a cause, and its detail, which has passed its own full match.

    `whose`: the qubes of the repository and of the server, where the subject works for another one.
    """
    row = _told("failures")[cause]
    qube = str(whose.get(row.get("of", ""), subject))
    kind: type[errors.QvmBorgError] = getattr(errors, row["error"])
    hint = errors.filled(row.get("hint", kind.hint)).replace("NAME", qube)
    more = f" ({told})" if (told := detail.removeprefix(f"{qube}: ")).strip("- ") else ""
    return kind(f"{qube}: {row['message']}{more}", hint, cause)


def from_status(qube: str, service: str, status: int | None) -> errors.QvmBorgError:
    """Answer the error for a call that ended with no reply at all."""
    cause = f"status-{status}"
    return from_failure(qube, cause if cause in _told("failures") else "no-reply", service)
