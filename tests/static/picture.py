#!/usr/bin/python3
"""docs/architecture.svg: the qubes and the calls between them, drawn of the services table.

Called by `make docs` to write it and by a test to compare it. Runs on a developer's host. Which
call goes from whom to whom is the table's; what a qube has and a call carries is told here.
"""

import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "dom0"))

from qborg_wire.row import Role, Service

from qborg_wire.services import SERVICES

NAME = "docs/architecture.svg"
WIDTH, MARGIN, COLUMN, GAP = 1120, 24, 250, 24
LINE, ROW = 17, 30
# role -> its title, and what it has. From left to right: those with a network, those without.
COLUMNS = {
    Role.MAINTENANCE: ("maintenance qube", (
        "the server's admin key; which", "repositories and keys there are")),
    Role.CLIENT: ("clients: work, personal", (
        "the files; borg, borgmatic, cron;", "each its own key and passphrase")),
    Role.VAULT: ("vault", ("what opens every repository,", "a record for each")),
    Role.WORKER: ("worker", ("a disposable, for one job:", "one record, in memory")),
}  # fmt: skip
CARRIES = {
    "InstallBundle": "its key and passphrase",
    "StoreRecord": "what opens the archives",
    "AcceptRecord": "one, for a proof",
    "TakeRecord": "to go on with, to restore",
    "AcceptAccount": "the admin key",
    "ServeRepository": "borg's protocol",
}
INK, PALE = "#1f2933", "#52606d"
ORDER, GATE, NETWORK = "#2b6cb0", "#c05621", "#2f855a"
STYLE = f"""\
text {{ font: 13px "DejaVu Sans", Verdana, sans-serif; fill: {INK}; }}
.title {{ font-size: 16px; font-weight: bold; }}
.pale {{ font-size: 12px; fill: {PALE}; }}
.order {{ font-size: 12px; fill: {ORDER}; }}
.gate {{ fill: {GATE}; font-weight: bold; }}
.what {{ font-size: 12px; font-weight: normal; fill: {PALE}; }}
.net {{ fill: {NETWORK}; }}
rect {{ fill: #ffffff; stroke: {INK}; stroke-width: 1.5; }}
.paper {{ stroke: none; }}
.area {{ fill: #f4f6f8; stroke: none; }}
.dark {{ fill: {INK}; }}
.light {{ fill: #ffffff; }}
line {{ stroke: {PALE}; stroke-width: 1; }}
.o {{ stroke: {ORDER}; stroke-width: 2; marker-end: url(#o); }}
.g {{ stroke: {GATE}; stroke-width: 2; marker-end: url(#g); }}
.n {{ stroke: {NETWORK}; stroke-width: 2; marker-end: url(#n); }}
.life {{ stroke-dasharray: 2 4; }}
"""


def orders(role: Role) -> list[Service]:
    """Answer what dom0 calls in a qube of that role."""
    return [row for row in SERVICES.values() if row.callers == (Role.DOM0,) and role in row.callees]


def gated() -> list[tuple[Service, Role, Role]]:
    """Answer every call from one qube to another."""
    return [(row, caller, callee) for row in SERVICES.values() for caller in row.callers
            for callee in row.callees if caller is not Role.DOM0]  # fmt: skip


def left(role: Role) -> int:
    """Answer where the column of a role begins."""
    return MARGIN + list(COLUMNS).index(role) * (COLUMN + GAP)


def middle(role: Role) -> int:
    """Answer the middle of a role's column."""
    return left(role) + COLUMN // 2


def text(x: int, y: int, words: str, kind: str = "", anchor: str = "start") -> str:
    """Answer one line of text."""
    return (f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">'
            f"{escape(words, quote=False)}</text>")  # fmt: skip


def box(x: int, y: int, width: int, height: int, kind: str = "") -> str:
    """Answer a rectangle."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="{kind}"/>'


def arrow(start: tuple[int, int], end: tuple[int, int], kind: str) -> str:
    """Answer a line, with a head if its kind has one."""
    return (f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" '
            f'class="{kind}"/>')  # fmt: skip


TOP = 92  # below dom0
BOXES = TOP + 62
HEIGHT = 88 + LINE * -(-max(len(orders(role)) for role in COLUMNS) // 2)
CALLS = BOXES + HEIGHT
SERVER = CALLS + 34 + ROW * len(gated()) + 74
BOTTOM = SERVER + 78 + MARGIN


def dom0() -> Iterator[str]:
    """Yield dom0, and its orders' arrows."""
    yield box(MARGIN, MARGIN, WIDTH - 2 * MARGIN, TOP - MARGIN, "dark")
    yield text(MARGIN + 20, MARGIN + 28, "dom0", "title light")
    yield text(MARGIN + 20, MARGIN + 50, "qvm-borg-*: no network, no secret; starts qubes, gives "
               "roles, opens the gate for exact calls", "light")  # fmt: skip
    for role in COLUMNS:
        yield arrow((middle(role), TOP), (middle(role), BOXES - 4), "o")


def qubes() -> Iterator[str]:
    """Yield a column for each role, with what it answers dom0."""
    areas = {"with a network": Role.MAINTENANCE, "without a network": Role.VAULT}
    for words, first in areas.items():
        x, width = left(first) - GAP // 3, 2 * COLUMN + GAP + 2 * (GAP // 3)
        yield box(x, TOP + 14, width, CALLS - TOP + ROW * len(gated()) + 34, "area")
        yield text(x + width // 2, TOP + 36, words, "pale", "middle")
    for role, (title, has) in COLUMNS.items():
        x = left(role)
        end = SERVER if role in (Role.MAINTENANCE, Role.CLIENT) else CALLS + ROW * len(gated()) + 30
        yield arrow((middle(role), CALLS), (middle(role), end), "life")
        yield box(x, BOXES, COLUMN, HEIGHT)
        yield text(x + 14, BOXES + 26, title, "title")
        for number, words in enumerate(has):
            yield text(x + 14, BOXES + 46 + number * LINE, words, "pale")
        for number, row in enumerate(orders(role)):
            beside, below = divmod(number, (HEIGHT - 88) // LINE)
            yield text(x + 14 + 120 * beside, BOXES + 92 + below * LINE, row.name, "order")


def calls() -> Iterator[str]:
    """Yield the calls from qube to qube, one below the other, each named where it starts."""
    for number, (row, caller, callee) in enumerate(gated()):
        y = CALLS + 44 + number * ROW
        forth = 1 if middle(caller) < middle(callee) else -1
        yield arrow((middle(caller), y), (middle(callee) - forth * 3, y), "g")
        x, anchor = middle(caller) + forth * 10, "start" if forth > 0 else "end"
        words = f'{row.name}<tspan class="what" dx="8">{CARRIES[row.name]}</tspan>'
        yield (f'<text x="{x}" y="{y - 6}" class="gate" text-anchor="{anchor}">{words}</text>')


def server() -> Iterator[str]:
    """Yield the server, and who reaches it."""
    told = {Role.MAINTENANCE: ("ssh, by the admin key:", "authorized_keys, evidence"),
            Role.CLIENT: ("borg, by a key that opens", "one repository, append-only")}  # fmt: skip
    for role, lines in told.items():
        yield arrow((middle(role), SERVER - 60), (middle(role), SERVER - 4), "n")
        for number, words in enumerate(lines):
            yield text(middle(role) + 10, SERVER - 36 + number * LINE, words, "net")
    yield box(MARGIN, SERVER, 2 * COLUMN + GAP, 78)
    yield text(MARGIN + 14, SERVER + 28, "server", "title")
    yield text(MARGIN + 14, SERVER + 52, "ciphertext in repos/MACHINE-QUBE; trusted with no more "
               "than being there", "pale")  # fmt: skip


def legend() -> Iterator[str]:
    """Yield what the colours mean."""
    rows = (("o", "dom0 orders, the names in blue: policy is not asked"),
            ("g", "one qube calls another: denied at rest; dom0 opens"),
            ("n", "over the network"))  # fmt: skip
    for number, (kind, words) in enumerate(rows):
        y = SERVER + 6 + number * 28
        yield arrow((left(Role.VAULT), y), (left(Role.VAULT) + 44, y), kind)
        yield text(left(Role.VAULT) + 58, y + 4, words)


def drawn() -> str:
    """Answer the picture."""
    heads = "".join(
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5"'
        f' orient="auto"><path d="M0 0 8 4 0 8z" fill="{colour}"/></marker>'
        for kind, colour in {"o": ORDER, "g": GATE, "n": NETWORK}.items())  # fmt: skip
    parts = (box(0, 0, WIDTH, BOTTOM, "paper"), *qubes(), *dom0(), *calls(), *server(), *legend())
    return "\n".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {BOTTOM}" width="{WIDTH}" '
        f'height="{BOTTOM}">', "<title>The qubes and the calls between them</title>",
        f"<style>\n{STYLE}</style>", f"<defs>{heads}</defs>", *parts, "</svg>\n"))  # fmt: skip


if __name__ == "__main__":
    (ROOT / NAME).write_text(drawn(), encoding="ascii")
