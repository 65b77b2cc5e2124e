#!/usr/bin/python3
"""The pages of the manual, made of the commands' own parsers and of docs/man/pages.toml.

Called by `make docs` to write them and by a test to compare them. Runs on a developer's host. A
page is the same whatever Python, terminal or day it is made on; that is why neither argparse's
own usage nor argparse-manpage, which shows that and a date in a form of its own, is in it.
"""

import importlib
import re
import sys
import textwrap
import tomllib
from argparse import Action, ArgumentParser, _HelpAction, _SubParsersAction
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / each) for each in ("dom0", "vm-services", "tests")]

from qborg_client.borg_commands import TABLE
from qvm_borg import errors
from qvm_borg.tools.command_line import Parser
from static.roles import SETUP

PAGES = tomllib.loads((ROOT / "docs/man/pages.toml").read_text(encoding="utf-8"))
VERSION = (ROOT / "version").read_text(encoding="ascii").strip()
EXAMPLES = re.compile(r"^examples?:\n((?: +.*\n)+)", re.M)
EXIT_CODES = re.compile(r"^exit codes:\n(?: +.*\n?)+", re.M)


def commands() -> dict[str, str]:
    """Answer every command that is installed, with its role."""
    return {command.name: name for name, role in SETUP.ROLES.items() for command in role.commands}


def parser_of(name: str) -> ArgumentParser:
    """Answer what parses the command line of a command."""
    if name.startswith("qvm-borg-"):
        return Parser(name.removeprefix("qvm-borg-"))
    if name == "borgbak":
        return _borgbak()
    modules = {each.name: each.module for role in SETUP.ROLES.values() for each in role.commands}
    made: ArgumentParser = importlib.import_module(modules[name]).parser()
    return made


def _borgbak() -> ArgumentParser:
    """Answer borgbak as a parser: it has none, since it hands its command line to borg."""
    usage, examples, rest = TABLE["help"].strip().split("\n\n")
    line, summary = usage.split(": ", 1)
    writes = ", ".join(name for name, row in TABLE["commands"].items() if row.get("writes"))
    epilog = f"{rest}\n\nIn a copy of the qube these are refused: {writes}.\n\n" \
             f"examples:\n{examples}\n"
    return ArgumentParser("borgbak", usage=line, description=_sentence(summary), epilog=epilog,
                          add_help=False)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def escaped(text: str) -> str:
    """Answer text that roff shows as it is, words in `backticks` bold."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("~", r"\(ti")
    text = text.replace("^", r"\(ha").replace("...", r"...\&")
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", text)
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.M)


def filled(text: str) -> list[str]:
    """Answer a paragraph as lines of roff that a person can read too."""
    words = text.replace("\n", " ")
    broken = textwrap.wrap(escaped(words), 79, break_long_words=False, break_on_hyphens=False)
    return [re.sub(r"^(?=[.'])", r"\\&", line) for line in broken]


def flow(text: str) -> Iterator[str]:
    """Yield paragraphs as lines of roff; what is indented in between are example lines."""
    for part in re.findall(r"(?:^ .*\n?)+|(?:^\S.*\n?)+", text, re.M):
        if part.startswith(" "):
            yield from (".RS 4", *examples(part), ".RE")
        else:
            yield from (".PP", *filled(part))


def examples(text: str) -> Iterator[str]:
    """Yield example command lines, each with what is told of it below, as lines of roff."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith(" " * 10):
            rows[-1].append(line.strip())
        else:
            rows.append(re.split(r" {2,}", line.strip(), maxsplit=1))
    for shown, *told in rows:
        yield from (".PP", f".B {escaped(shown)}")
        if told:
            yield from (".RS 4", *filled(" ".join(told)), ".RE")


def terms(table: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a list of terms that are roff already, each with its text."""
    for term, text in table:
        yield from (".TP", term, *filled(text))


def named(table: Mapping[str, str]) -> Iterator[str]:
    """Yield a list of names, each with its text."""
    return terms((f".B {escaped(name)}", text) for name, text in table.items())


def _nested(parser: ArgumentParser) -> dict[ArgumentParser, str]:
    """Answer the parsers of a command's own commands, with what is told of each."""
    found = [each for each in parser._actions if isinstance(each, _SubParsersAction)]
    return {each.choices[row.dest]: str(row.help)
            for each in found for row in each._choices_actions}  # fmt: skip


def synopsis(parser: ArgumentParser) -> Iterator[str]:
    """Yield how the command is called, the names of files and qubes last."""
    if nested := _nested(parser):
        for number, each in enumerate(nested):
            yield from (*[".br"][:number], *synopsis(each))
        return
    if parser.usage:
        name, _space, rest = parser.usage.partition(" ")
        yield from (f".B {name}", escaped(rest))
        return
    yield f".B {escaped(parser.prog)}"
    exclusive = [group._group_actions for group in parser._mutually_exclusive_groups]
    done: list[Action] = []
    for action in sorted(parser._actions, key=lambda each: not each.option_strings):
        if action in done or isinstance(action, _HelpAction):
            continue
        together = next((group for group in exclusive if action in group), [action])
        done += together
        shown = " |\n".join(called(each, "|") for each in together)
        needed = action.required and action.nargs != "*"
        yield from (shown if needed else f"[{shown}]").splitlines()


def called(action: Action, between: str) -> str:
    """Answer one argument as it is typed, as roff; between: its ways."""
    choices = "|".join(action.choices or ())
    value = f"\\fI{escaped(str(action.metavar or choices or action.dest.upper()))}\\fR"
    value += " ..." * (action.nargs in ("*", "+"))
    if not action.option_strings:
        return value
    flags = between.join(f"\\fB{escaped(flag)}\\fR" for flag in action.option_strings)
    return flags if action.nargs == 0 else f"{flags} {value}"


def options(parser: ArgumentParser) -> Iterator[str]:
    """Yield every argument with its help, those that belong together below their own title."""
    for group in parser._action_groups:
        rows = [(called(each, ", "), str(each.help)) for each in group._group_actions
                if not isinstance(each, (_HelpAction, _SubParsersAction))]  # fmt: skip
        if rows and group.title not in ("positional arguments", "options"):
            yield f".SS {escaped(_sentence(str(group.title)).rstrip('.'))}"
        yield from terms(rows)
    for each, told in _nested(parser).items():
        yield from (f".SS {escaped(each.prog)}", *filled(_sentence(told)), *options(each))


def exit_status(name: str, role: str) -> Iterator[str]:
    """Yield the table of exit codes."""
    own = PAGES["commands"].get(name, {})
    codes = {**PAGES["exits"], **PAGES["roles"][role].get("exits", {}), **own.get("exits", {})}
    if role == "dom0":
        codes |= {str(kind.exit_code): kind.__doc__ or "" for kind in errors.table()}
    yield from flow(PAGES["failure"])
    yield from named(dict(sorted(codes.items(), key=lambda row: int(row[0]))))
    yield from flow(own.get("more", ""))


def see_also(name: str, role: str) -> str:
    """Answer the other pages: those of the same qube, then others."""
    ours = [each for each, its in commands().items() if its == role and each != name]
    more = [*PAGES["commands"].get(name, {}).get("also", []), *PAGES["roles"][role]["also"]]
    return ",\n".join(f".BR {escaped(each)} (1)" for each in dict.fromkeys(ours + more))


def _tidy(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a page less the paragraphs that mandoc finds needless."""
    before = ""
    for line in lines:
        if line != ".PP" or not before.startswith(".S"):
            yield line
        before = line


def page(name: str) -> str:
    """Answer the page of a command."""
    role, parser = commands()[name], parser_of(name)
    summary, epilog = (parser.description or "").strip(), EXIT_CODES.sub("", f"{parser.epilog}\n")
    manual = PAGES["roles"][role]["manual"]
    short = escaped(summary[:1].lower() + summary[1:].rstrip("."))
    sections = {
        "NAME": [f"{escaped(name)} \\- {short}"],
        "SYNOPSIS": synopsis(parser),
        "DESCRIPTION": [*flow(summary), *flow(EXAMPLES.sub("", epilog))],
        "OPTIONS": options(parser),
        "EXAMPLES": examples("".join(EXAMPLES.findall(epilog))),
        "EXIT STATUS": exit_status(name, role),
        "FILES": named(PAGES["roles"][role]["files"]),
        "SEE ALSO": [see_also(name, role)],
    }  # fmt: skip
    lines = [f'.TH "{escaped(name.upper())}" 1 "{PAGES["date"]}" "qubes\\-borg {VERSION}" '
             f'"{escaped(manual)}"', ".ad l", ".nh"]  # fmt: skip
    for heading, body in sections.items():
        body = list(body)
        lines += [f".SH {heading}", *body] if body else []
    return "\n".join(_tidy(lines)) + "\n"


def written() -> dict[str, str]:
    """Answer every page by the name of its file."""
    return {f"docs/man/{name}.1": page(name) for name in commands()}


if __name__ == "__main__":
    for file_name, text in written().items():
        (ROOT / file_name).write_text(text, encoding="ascii")
