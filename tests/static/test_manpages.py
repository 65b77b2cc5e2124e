"""The pages of the manual: one for each command, what its parser says, without a fault in them."""

import argparse
import re
import subprocess
from pathlib import Path

import pytest

from static import manpages, tree
from static.roles import SETUP

PAGES = manpages.written()
COMMANDS = manpages.commands()
HOSTILE = "\n".join((".so /etc/passwd", "'ig", r"back\slash \fBnot bold", "-- ~ ^", "a\n.TH x"))


def mandoc(page: str, *options: str) -> str:
    """Answer what mandoc shows, or finds, in a page."""
    done = subprocess.run(
        ["/usr/bin/mandoc", *options], input=page.encode("ascii"), capture_output=True, timeout=60,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"})  # fmt: skip
    return (done.stdout + done.stderr).decode("utf-8")


def test_each_command_has_its_page_and_there_is_no_other() -> None:
    there = {name for name in tree.files() if name.startswith("docs/man/")}

    assert there - {"docs/man/pages.toml"} == set(PAGES)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_says_what_the_parser_says(name: str) -> None:
    assert tree.text(name) == PAGES[name], "run `make docs`"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_mandoc_warns_of_nothing(name: str) -> None:
    assert mandoc(PAGES[name], "-T", "lint", "-W", "warning") == ""


def test_mandoc_would_warn() -> None:
    page = PAGES["docs/man/borgbak.1"]

    assert "WARNING" in mandoc(page.replace(".SH FILES", ".SH\n.PP"), "-T", "lint", "-W", "warning")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_reader_finds_each_section_and_each_option(name: str) -> None:
    shown = mandoc(PAGES[f"docs/man/{name}.1"], "-T", "utf8", "-O", "width=78")
    plain = re.sub(".\b", "", shown)
    takes = {flag for each in parsers(manpages.parser_of(name)) for action in each._actions
             for flag in action.option_strings if flag not in ("-h", "--help")}  # fmt: skip

    wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "FILES",
              "SEE ALSO"]  # fmt: skip
    headings = re.findall(r"^[A-Z][A-Z ]+[A-Z]$", plain, re.M)

    without = {"borgbak": ["OPTIONS"]}.get(name, [])  # borg's own
    assert headings == [each for each in wanted if each not in without]
    assert not [flag for flag in takes if not re.search(rf"^ +(?:.*, )?{flag}\b", plain, re.M)]


def parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Answer a parser and those of its own commands."""
    nested = [each for action in parser._actions
              if isinstance(action, argparse._SubParsersAction)
              for each in action.choices.values()]  # fmt: skip
    return [parser, *nested]


@pytest.mark.parametrize("role", sorted(manpages.PAGES["roles"]))
def test_a_file_that_a_page_names_is_one_of_that_role(role: str) -> None:
    # No path stands whole in the code: its last part does, in a package of the role or beside it.
    folders = [*SETUP.ROLES[role].packages, *SETUP.ROLES["common"].packages]
    code = "".join(tree.text(name) for name in tree.files() if name.startswith(tuple(folders)))
    code += " ".join(SETUP.ROLES[role].policy + SETUP.ROLES[role].documents)

    named = {Path(name).name for name in manpages.PAGES["roles"][role]["files"]}
    assert not [name for name in named if not re.search(rf"\b{re.escape(name)}\b", code)]


def test_the_data_is_of_roles_and_commands_that_are_there() -> None:
    assert set(manpages.PAGES["roles"]) == set(COMMANDS.values())
    assert set(manpages.PAGES["commands"]) <= set(COMMANDS)


def test_no_text_of_a_parser_is_a_command_of_roff() -> None:
    # What starts a line or has a backslash would be obeyed: `.so` reads a file.
    lines = "\n".join(manpages.flow(HOSTILE)).splitlines()
    lines += manpages.filled(HOSTILE) + manpages.escaped(HOSTILE).splitlines()

    assert not [line for line in lines if line.startswith((".", "'")) and line != ".PP"]
    shown = mandoc("\n".join(('.TH X 1 "2026-01-01"', ".SH NAME", *manpages.flow(HOSTILE))))
    assert r"back\slash \fBnot bold -- ~ ^ a .TH x" in re.sub(r"\s+", " ", shown)
