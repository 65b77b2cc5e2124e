#!/usr/bin/python3
"""The tables of the documents that say what the code holds as data.

Called by `make docs` to write them and by a test to compare them. Runs on a developer's host.
"""

import importlib
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "dom0"), str(ROOT / "tests")]

from qborg_wire import data
from qborg_wire.row import Field, Role, Service

from qborg_wire.services import SERVICES
from qvm_borg import errors
from scenarios.attempts import Attempt

# A place that is evil, and the scenarios' modules that hold what it tries.
EVIL = {
    "An evil client": ("test_evil_client", "test_evil_client_history",
                       "test_evil_client_protocol", "test_lying_replies",
                       "test_lying_enrolment", "test_evil_key", "test_evil_borrower",
                       "test_evil_revoked", "test_manifest", "test_restore"),
    "An evil maintenance qube": ("test_evil_maintenance", "test_bent_replies",
                                 "test_hostile_bundle", "test_hostile_record",
                                 "test_evil_revocation"),
    "Any evil qube": ("test_hostile_calls", "test_worker"),
    "An evil vault": ("test_evil_vault",),
    "An evil server": ("test_evil_server", "test_evil_server_repository"),
}  # fmt: skip
BEGIN = "<!-- begin: rendered by `make docs` -->\n"
END = "<!-- end -->\n"


def size(limit: int) -> str:
    """Answer a number of bytes as a person writes it."""
    return f"{limit // 1024} KiB" if limit % 1024 == 0 else f"{limit} B"


def roles(parts: Sequence[Role]) -> str:
    """Answer trust domains as words."""
    return " or ".join(part.value for part in parts)


def fields(row: Iterable[Field]) -> str:
    """Answer the keys of a request or reply, lists marked."""
    return ", ".join(f"`{f.name}`" + (" (list)" if f.many else "") for f in row) or "-"


def request(row: Service) -> str:
    """Answer what a caller sends."""
    if row.stream:
        return "borg's protocol, both ways"
    return "one record" if row.record else fields(row.request)


def line(row: Service) -> str:
    """Answer one row of the table."""
    time = f"{row.seconds} s" + (" idle" if row.idle else "")
    bound = "a stream" if row.stream else size(row.limit)
    notes = ["as root"] * row.root + ["before the role"] * row.before_role
    cells = (
        f"`{row.full_name}`", "REPO" if row.argument else "none",
        f"{roles(row.callers)} -> {roles(row.callees)}", f"{bound}, {time}",
        request(row), fields(row.reply), ", ".join(notes) or "-",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def services() -> str:
    """Answer the table of the protocol."""
    return (
        "| service | argument | caller -> callee | limit, time | request | reply "
        "| notes |\n"
        "|---|---|---|---|---|---|---|\n"
    ) + "".join(map(line, SERVICES.values()))


def exit_codes() -> str:
    """Answer the table of what a dom0 command exits with, and that of the commands in qubes."""
    head = "| exit code | means | the usual hint |\n|---|---|---|\n"
    dom0 = "".join(
        f"| {kind.exit_code} | {kind.__doc__} | {kind.hint} |\n" for kind in errors.table()
    )
    pages = tomllib.loads((ROOT / "docs/man/pages.toml").read_text(encoding="utf-8"))
    own = {f"`{name}`": page for name, page in pages["commands"].items()}
    qubes = "".join(
        f"| {name} | {code} | {says} |\n"
        for name, page in {"each one": pages, **own}.items()
        for code, says in [*page.get("exits", {}).items(), ("else", page.get("more"))] if says
    )
    return (f"{head}{dom0}\n## Commands in qubes\n\nTheir `error: ...` begins with the cause.\n\n"
            f"| command | exit code | means |\n|---|---|---|\n{qubes}")


def attempts() -> str:
    """Answer what is tried from each place, below what its module says of itself."""
    parts = []
    for place, modules in EVIL.items():
        parts.append(f"## {place}\n\n")
        for name in modules:
            module = importlib.import_module(f"scenarios.{name}")
            intro = (module.__doc__ or "").partition("\n\n")[0]
            parts.append(f"{intro}\n(`tests/scenarios/{name}.py`)\n\n{rows_of(module)}\n")
    return "".join(parts)


def rows_of(module: ModuleType) -> str:
    """Answer every attempt of a module as a row of a table."""
    tables = [value for value in vars(module).values() if isinstance(value, dict)]
    rows = [(name, row) for found in tables for name, row in found.items()
            if isinstance(row, Attempt)]  # fmt: skip
    return "| row | what is tried | how it must end |\n|---|---|---|\n" + "".join(
        f"| `{name}` | {row.tried} | {row.outcome} |\n"
        for name, row in rows
    )


def troubles() -> str:
    """Answer the table of what qvm-borg-status may tell of, by name."""
    rows = {
        "unobserved": {"what": "the server was not seen, and why"},
        "gone": {"what": "the vault or the maintenance qube is gone"},
        "unanswered": {"what": "the qube runs and did not answer, and why"},
        **data.beside(errors.__file__, "troubles"),
    }
    return "| name | what | needs nobody, chosen |\n|---|---|---|\n" + "".join(
        f"| `{name}` | {row['what']} | {row.get('chosen', '')} |\n" for name, row in rows.items()
    )


TABLES = {
    "docs/protocol.md": services, "docs/exit-codes.md": exit_codes,
    "docs/threat-model.md": attempts, "docs/status.md": troubles,
}  # fmt: skip


def rendered(name: str) -> str:
    """Answer a document with its table rendered anew; raises ValueError if it has no marks."""
    document = (ROOT / name).read_text(encoding="utf-8")
    before, _begin, rest = document.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{name} has no marks for its table")
    return before + BEGIN + TABLES[name]() + END + after


if __name__ == "__main__":
    for document_name in TABLES:
        (ROOT / document_name).write_text(rendered(document_name), encoding="utf-8")
