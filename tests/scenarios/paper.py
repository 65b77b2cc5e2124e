"""A person with the paper of a kit and nothing else: reads its pages, types at a terminal.

Knows the kit only as text. The terminal is a real one: borg asks there for what it asks for.
"""

import json
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from lab import Lab

VAULT = "vault"
FOLDER = "/home/user/qubes-borg-kit"
_INDENT = "    "
READY, MORE = "READY> ", "MORE> "
# Types what is on stdin, a JSON list of [what is typed, what is waited for]; prints the terminal.
_PERSON = r"""
import json, sys, pexpect
shell = pexpect.spawn("/bin/sh", ["-i"], echo=False, encoding="utf-8", timeout=90, cwd="/home/user",
                      env={"PATH": "/usr/bin:/bin", "HOME": "/home/user", "LANG": "C.UTF-8",
                           "PS1": "READY> ", "PS2": "MORE> "})
shell.logfile_read = sys.stdout
shell.expect("READY> ")
for typed, awaited in json.load(sys.stdin):
    shell.sendeof() if typed is None else shell.sendline(typed)
    if awaited:
        shell.expect(awaited)
shell.sendline("exit")
shell.expect(pexpect.EOF)
"""


@dataclass(frozen=True)
class Page:
    """One page: what is set to be typed below each heading."""

    title: str
    typed: dict[str, list[str]]

    @property
    def rows(self) -> list[str]:
        """Answer all the rows with a check in brackets."""
        lines = (line for block in self.typed.values() for line in block)
        return [line for line in lines if re.search(r"\[[0-9a-f]{4}\]$", line)]

    def value(self, label: str) -> str:
        """Answer a value as a person reads it: its rows as one word."""
        parts = [re.sub(r"^\S+ \S+ +| *\[....\]$", "", row) for row in self.rows
                 if row.startswith(f"{label} ")]  # fmt: skip
        return "".join(parts).replace(" ", "")


def pages(kit: str) -> list[Page]:
    """Read the pages of a kit off its text."""
    return [_page(text) for text in kit.split("\f\n")]


def _page(text: str) -> Page:
    lines, heading = text.split("\n"), ""
    typed: dict[str, list[str]] = {}
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if below and set(below) == {"-"}:
            heading = line
        elif line.startswith(_INDENT):
            typed.setdefault(heading, []).append(line.removeprefix(_INDENT))
    return Page(lines[0], typed)


def carried(lab: Lab) -> str:
    """Answer the text of the kit that lies in the vault, which runs then."""
    if lab.qubes()[VAULT]["state"] == "Halted":
        lab.do("start", VAULT)
    return lab.exec(VAULT, ["sh", "-c", f"cat {FOLDER}/*.txt"], check=True).stdout.decode()


class Terminal:
    """What is going to be typed at one terminal of a qube, in its order."""

    def __init__(self) -> None:
        self._typed: list[tuple[str | None, str]] = []

    def types(self, lines: Iterable[str], *awaited: str) -> None:
        """Type commands; each is waited for, the last of them for what it asks first."""
        todo = list(lines)
        self._typed += [(line, f"{READY}|{MORE}") for line in todo[: len(todo) - bool(awaited)]]
        if awaited:
            self._typed.append((todo[-1], awaited[0]))

    def answers(self, text: str, awaited: str = READY) -> None:
        """Answer a question."""
        self._typed.append((text, awaited))

    def writes_a_file(self, command: str, lines: Iterable[str]) -> None:
        """Type a command that reads the terminal, lines for it, and Ctrl-D."""
        self._typed += [(command, ""), *((line, "") for line in lines), (None, READY)]

    def run(self, lab: Lab, qube: str) -> str:
        """Do it all and answer what stood on the terminal."""
        typed = json.dumps(self._typed).encode()
        script = textwrap.dedent(_PERSON)
        done = lab.exec(qube, ["python3", "-I", "-c", script], input=typed, timeout=600)
        said = done.stdout.decode()
        assert done.returncode == 0, said + done.stderr.decode()
        return said
