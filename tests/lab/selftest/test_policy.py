"""The policy evaluator: what it admits and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.policy import Decision, Request, decide
from lab.selftest.policy_words import BAD_LINES, DOMAINS, GOOD_LINES, UUIDS

@pytest.fixture(name="directory")
def fixture_directory(tmp_path: Path) -> Path:
    """Return an empty policy directory."""
    (tmp_path / "policy.d").mkdir()
    return tmp_path / "policy.d"


def ask(
    directory: Path,
    text: str,
    source: str = "work",
    target: str = "maint",
    call: tuple[str, str] = ("t.Say", "+a"),
) -> Decision:
    """Evaluate one call against one file."""
    (directory / "50-test.policy").write_text(text)
    return decide([directory], Request(*call, source, target), DOMAINS)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("t.Say * work maint allow", True),
        ("t.Say * work vault allow", False),
        ("t.Say +a @anyvm @anyvm allow", True),
        ("t.Say + @anyvm @anyvm allow", False),
        ("t.Other * * * allow", False),
        ("* * * * allow", True),
        (f"t.Say +a uuid:{UUIDS['work']} uuid:{UUIDS['maint']} allow autostart=no", True),
        (f"t.Say +a uuid:{UUIDS['vault']} uuid:{UUIDS['maint']} allow", False),
        ("t.Say * @tag:client @tag:maintenance allow", True),
        ("t.Say * @tag:storage * allow", False),
        ("t.Say * @type:AppVM @type:StandaloneVM allow", True),
        ("t.Say * @adminvm * allow", False),
        ("t.Say * * * ask default_target=maint", False),
        ("t.Say * * * deny\nt.Say * * * allow", False),
        ("", False),
    ],
)
def test_first_matching_line_decides(directory: Path, text: str, allowed: bool) -> None:
    """A line admits what it names and nothing else."""
    assert ask(directory, text).allowed is allowed


def test_decision_names_file_and_line(directory: Path) -> None:
    """The deciding rule can be asserted by a test."""
    decision = ask(directory, "# nothing\n\nt.Say * * * deny notify=no\n")

    assert (Path(decision.file).name, decision.line, decision.action) == (
        "50-test.policy",
        3,
        "deny",
    )
    assert not decision.notify


def test_unknown_target_counts_as_default(directory: Path) -> None:
    """A typing error in the target reaches the @default line."""
    decision = ask(directory, "t.Say * * @default allow target=vault", target="valut")

    assert (decision.allowed, decision.target) == (True, "vault")


def test_halted_target_is_refused_without_autostart(directory: Path) -> None:
    """autostart=no asks for the state Running."""
    assert not ask(directory, "t.Say * * * allow autostart=no", target="vault").allowed
    assert ask(directory, "t.Say * * * allow", target="vault").allowed


def test_call_to_itself_is_refused(directory: Path) -> None:
    """A loop is refused even where a line allows it."""
    assert not ask(directory, "* * * * allow", target="work").allowed


def test_runtime_directory_is_merged_by_name(tmp_path: Path) -> None:
    """Files of both directories are one sequence, sorted by name."""
    run, etc = tmp_path / "run", tmp_path / "etc"
    run.mkdir()
    etc.mkdir()
    (etc / "70-deny.policy").write_text("t.Say * * * deny\n")
    (run / "69-gate.policy").write_text("t.Say +a work maint allow\n")

    admitted = decide([run, etc], Request("t.Say", "+a", "work", "maint"), DOMAINS)
    other = decide([run, etc], Request("t.Say", "+b", "work", "maint"), DOMAINS)

    assert admitted.allowed
    assert (other.allowed, Path(other.file).name) == (False, "70-deny.policy")


@pytest.mark.parametrize("name", ["50-Upper.policy", "50 blank.policy", "50-\u00e9.policy"])
def test_one_bad_file_name_refuses_everything(directory: Path, name: str) -> None:
    """The rule about file names holds for the whole system."""
    (directory / name).write_text("")

    assert not ask(directory, "* * * * allow").allowed


@pytest.mark.parametrize("name", [".50-Hidden.policy", "50-Upper.policy.tmp", "README"])
def test_other_files_are_not_read(directory: Path, name: str) -> None:
    """What is no policy file may hold anything."""
    (directory / name).write_text("rubbish")

    assert ask(directory, "* * * * allow").allowed


@pytest.mark.parametrize("line", BAD_LINES)
def test_one_bad_line_refuses_everything(directory: Path, line: str) -> None:
    """A fault after a line that allows still refuses the call."""
    assert not ask(directory, f"* * * * allow\n{line}\n").allowed


@pytest.mark.parametrize("line", GOOD_LINES)
def test_good_line_is_read(directory: Path, line: str) -> None:
    """Odd, but valid, lines do not disturb others."""
    assert ask(directory, f"t.Say +a work maint allow\n{line}\n").allowed
