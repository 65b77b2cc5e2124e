"""What all tests share: a clean environment, what this machine adds, the time per group.

Imports nothing of the product or the lab, so that each group can be collected by itself.
"""

import os
from collections import Counter, defaultdict
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Of the person who runs the tests; with them a test could pass here and fail elsewhere.
PERSONAL = ("BORG_", "BORGMATIC_", "GIT_", "QREXEC_", "QUBES_", "SSH_", "XDG_CONFIG", "XDG_STATE")
ENGINES = {"LAB_QREXEC": "genuine qrexec parser", "LAB_QUBESADMIN": "genuine qubesadmin"}

# Single tests of minutes, most of which they wait: begun last, they would be waited for alone.
LONG = ("schedule_silence", "two_computers", "week", "bench", "from_nothing", "way_back",
        "interrupted", "kill", "key_file", "new_repository", "continue")  # fmt: skip
SLOWEST = 25  # files that are named at the end
seconds: defaultdict[str, float] = defaultdict(float)
tests: Counter[str] = Counter()


def group_of(name: str) -> str:
    """Answer the group that a test's file belongs to: its folder below tests/."""
    parts = Path(name).parts
    return "/".join(parts[:3] if parts[1:2] == ("lab",) else parts[:2])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the long files first; the groups that need no lab fill the gaps at the end."""
    ranks = {f"test_{name}": rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


def pytest_report_header() -> list[str]:
    """Say which originals take part beside the stand-ins."""
    return [
        f"{name}: {os.environ.get(variable) or f'not given ({variable}=DIR)'}"
        for variable, name in ENGINES.items()
    ]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add one phase of one test to its group and its file."""
    name = report.nodeid.partition("::")[0]
    for key in (group_of(name), name):
        seconds[key] += report.duration
        tests[key] += report.when == "call"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each group and the slowest files took, above the final line."""
    files = sorted((key for key in seconds if key.endswith(".py")), key=lambda key: -seconds[key])
    for title, keys in (("group", sorted(set(seconds) - set(files))), ("file", files[:SLOWEST])):
        terminalreporter.section(f"time per {title}")
        for key in keys:
            terminalreporter.line(f"{seconds[key]:8.1f} s {tests[key]:6} tests  {key}")


@pytest.fixture(autouse=True)
def clean_environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Take the person out of the environment; only the lab sees the real home (its cache)."""
    for variable in os.environ:
        if variable.startswith(PERSONAL):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    group = group_of(str(request.path.relative_to(HERE.parent)))
    if group not in ("tests/bench", "tests/lab/selftest", "tests/packages", "tests/salt",
                     "tests/scenarios"):
        monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp()))
