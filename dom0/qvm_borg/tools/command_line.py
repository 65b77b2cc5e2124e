"""A command's arguments and its help, read from the data beside it: NAME.toml.

Runs in dom0; pure. A row of a table `options` is what argparse's add_argument takes, but `type`, a
word of _TYPES or SERVICE.FIELD of the services table; `one_of` and `group`, the options that it
stands with; and `like`, the command that tells the rest. A row of `wrong` refuses what is given
together, or lacking, by `!`.
"""

import argparse
import re
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn

from qborg_wire import data, names
from qborg_wire.services import SERVICES
from qvm_borg import errors
from qvm_borg.report import Report
from qvm_borg.settings import PATTERNS


def _server(text: str) -> tuple[str, ...]:
    account, _at, place = text.rpartition("@")
    host, _colon, port = place.partition(":")
    parts = {"account": account, "host": host, "port": port or "22"}
    return tuple(names.parse(*PATTERNS[key], part) for key, part in parts.items())


def _time(text: str) -> str:
    """Answer what stands for the newest archive until then; a day is meant as its end."""
    try:
        moment = datetime.fromisoformat(text) + timedelta(seconds=86399 * (len(text) <= 10))
        return f"until:{max(0, int(moment.timestamp()))}"
    except (ValueError, OverflowError) as error:
        raise names.NameRefused("no day or time such as 2026-01-31T10:00") from error


_TYPES: dict[str, Callable[[str], Any]] = {
    "int": int, "qube": names.parse_qube, "qube_or_repository": lambda text: (
        names.parse_qube(text) if len(text) <= 31 else str(names.parse_repository(text))),
    "count": lambda text: int(names.parse(re.compile("[1-9][0-9]*"), 6, text)),
    "server": _server, "time": _time, "fingerprint": partial(names.parse, names.FINGERPRINT, 50),
}


def _type(word: str) -> Callable[[str], Any]:
    service, _dot, field = word.partition(".")
    found = [row for row in SERVICES[service].request if row.name == field] if field else []

    def value(text: str) -> Any:
        try:
            return names.parse(found[0].pattern, found[0].limit, text) if found else (
                _TYPES[word](text))
        except names.NameRefused as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return value


_told = partial(data.beside, __file__)


class Parser(argparse.ArgumentParser):
    """The parser of qvm-borg-NAME, with our shape of errors."""

    def __init__(self, name: str) -> None:
        told = _told(name)
        codes = "".join(f"  {kind.exit_code:<3} {kind.__doc__}\n" for kind in errors.table())
        super().__init__(
            f"qvm-borg-{name}", description=told["summary"], allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=f"{told['about']}\nexamples:\n{told['examples']}\nexit codes:\n  0   done\n"
                   f"  2   wrong usage\n{codes}  130 Ctrl-C, 141 nobody reads on, 143 SIGTERM")
        self._wrong, self._flags = told.get("wrong", []), {}
        groups: dict[str | None, Any] = {None: self}
        loud = self.add_mutually_exclusive_group()
        loud.add_argument("-v", "--verbose", action="store_true", help="show each call into a qube")
        loud.add_argument("-q", "--quiet", action="store_true", help="print only what is asked for")
        for flag, own in told["options"].items():
            row = {**(_told(own["like"])["options"][flag] if "like" in own else {}), **own}
            row.pop("like", None)
            title, one_of = row.pop("group", None), row.pop("one_of", None)
            if (title or one_of) not in groups:
                groups[title or one_of] = (self.add_argument_group(title) if title
                                           else self.add_mutually_exclusive_group())
            if row.get("action") == "yes_or_no":
                row["action"] = argparse.BooleanOptionalAction
            elif "metavar" not in row and "choices" not in row:
                row["action"] = "store_true"
            if "type" in row:
                row["type"] = _type(row["type"])
            self._flags[flag] = groups[title or one_of].add_argument(flag, **row)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Answer the options; ends with 2 for what is wrong alone or together."""
        options = super().parse_intermixed_args(args, namespace)  # a PATH may stand after options
        if "qubes" in options:
            options.qubes = [*dict.fromkeys(options.qubes)]
        for row in self._wrong:
            if all(self._given(options, word) for word in row["given"]):
                self.error(row["says"])
        return options

    def _given(self, options: argparse.Namespace, word: str) -> bool:
        flag, _equals, wanted = word.removeprefix("!").partition("=")
        value, usual = vars(options)[self._flags[flag].dest], self._flags[flag].default
        given = value == wanted if wanted else bool(value) and value != usual
        return given != word.startswith("!")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end with 2."""
        self.print_usage(sys.stderr)
        Report().error(errors.QvmBorgError(message, f"`{self.prog} --help` explains all options"))
        self.exit(2)
