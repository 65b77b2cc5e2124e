"""The table of errors: unique codes out of qrexec's way, a line and a hint for every cause."""

import re
from pathlib import Path

import pytest

from qborg_wire.causes import CAUSES
from qvm_borg import errors, telling
from qvm_borg.tools import Parser

TABLE = errors.table()


def test_exit_codes_are_unique_and_nobody_elses() -> None:
    codes = [kind.exit_code for kind in TABLE]

    assert len(set(codes)) == len(codes)
    assert all(0 < code < 64 and code != 2 for code in codes)


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
def test_every_class_says_what_it_means_and_what_to_do(kind: type[errors.QvmBorgError]) -> None:
    assert kind.__doc__ and "\n" not in kind.__doc__
    assert kind.hint and kind("something").hint == kind.hint
    assert kind("something", "do this").hint == "do this"


def test_no_error_is_outside_the_table() -> None:
    found = {errors.QvmBorgError, *errors.QvmBorgError.__subclasses__()}

    assert found == set(TABLE)


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_every_cause_is_an_error_with_a_line_and_a_hint(cause: str) -> None:
    error = telling.from_failure("work", cause, "the detail")

    assert type(error) is not errors.QvmBorgError
    assert error.message.startswith("work: ") and error.message.endswith(" (the detail)")
    assert error.hint and "NAME" not in error.hint and "\n" not in error.message + error.hint


def test_a_detail_that_says_nothing_is_left_out() -> None:
    assert telling.from_failure("work", "locked").message == (
        "work: the repository is locked")


def test_what_one_qube_alone_may_be_at_fault_for_says_how_the_others_go_on() -> None:
    hint = telling.from_failure("borg-maintenance", "publish-refused").hint

    assert "leave out a qube that it names" in hint


def test_a_cause_unknown_to_the_table_cannot_pass_silently() -> None:
    with pytest.raises(KeyError):
        telling.from_failure("work", "sorry")


# What a person fills in, where it is no qube's name, and what a command needs instead.
_FILLED_IN = {"SIZE": "1G", "PATH": "/home/user", "BORG": "borg14"}


def _commands(name: str) -> list[str]:
    """Answer what a file of texts tells to type, less what only names a command."""
    text = (Path(telling.__file__).parent / f"{name}.toml").read_text(encoding="utf-8")
    return re.findall(r"`qvm-borg-([a-z]+ [^`]+)`", text)


@pytest.mark.parametrize("name", ["errors", "failures", "lines", "refusals", "troubles"])
def test_a_command_that_is_told_can_be_typed(name: str) -> None:
    told = _commands(name)

    assert told
    for command in told:
        words = [_FILLED_IN.get(word, re.sub(r"\$\w+|[A-Z]{3,}", "work", word))
                 for word in command.split()]
        Parser(words[0]).parse_args(words[1:])
