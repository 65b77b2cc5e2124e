"""The table that `make test-kill` ends with: how each kill ended, as lines of Markdown.

Runs on a developer's host. Pure: how a row ended comes in as pytest's report of it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import pytest

from scenarios.kills import Row

STRUCK = "struck"  # the property of a row that tells whether anybody was killed
CONVERGED, NOBODY, FAILED, NOT_RUN = "yes", "not struck", "**no**", "not run"
_HEAD = "| run | call | victim | before | amid | after |\n|---|---|---|---|---|---|\n"


def outcome(report: pytest.TestReport) -> str:
    """Answer how a row ended; one that struck nobody has shown nothing."""
    if report.failed:
        return FAILED
    return NOBODY if (STRUCK, False) in report.user_properties else CONVERGED


def rendered(day: str, rows: Sequence[Row], outcomes: Mapping[str, str]) -> str:
    """Answer a line for each call and victim: whether one more run reached the same end."""
    ended = Counter(outcomes.get(str(row), NOT_RUN) for row in rows)
    lines: defaultdict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for row in rows:
        call = f"{row.call.step} {row.call.target} {row.call.name}"
        moments = lines[row.call.run, call, row.victim]
        moments[row.moment] = outcomes.get(str(row), NOT_RUN)
    counted = (f"{ended[CONVERGED]} converged, {ended[NOBODY]} struck nobody, "
               f"{ended[FAILED]} did not, {ended[NOT_RUN]} not run")  # fmt: skip
    return f"{day}: {len(rows)} kills, {counted}.\n\n{_HEAD}" + "".join(
        f"| {run} | {call} | {victim} | " + " | ".join(
            moments.get(moment, "") for moment in ("before", "amid", "after")) + " |\n"
        for (run, call, victim), moments in lines.items()
    )  # fmt: skip
