"""Stand-in for the qrexec policy engine: five-column files in, one decision out.

Runs in the supervisor, for every call that a qube makes. Differs from the genuine engine in what
it refuses: directives (`!include`, `!compat-4.0`) are errors here, and `ask` is a denial, since
nobody is there to answer. One error anywhere refuses every call, as in the genuine one.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.policy_tokens import (
    ADMIN_NAMES,
    REDIRECT,
    SOURCE,
    TARGET,
    Domains,
    NoDisposableTemplate,
    Token,
    TokenError,
    parse_intended,
    parse_token,
)

FILE_CHARSET = frozenset(string.digits + string.ascii_lowercase + "_.-")
CALL_CHARSET = frozenset(string.ascii_letters + string.digits + "+-._")
OPTIONS: Mapping[str, frozenset[str]] = {
    "allow": frozenset({"target", "user", "notify", "autostart"}),
    "ask": frozenset({"target", "default_target", "user", "notify", "autostart"}),
    "deny": frozenset({"notify"}),
}


class PolicyError(Exception):
    """The policy cannot be loaded, so that every call is refused. Says file, line and why."""


@dataclass(frozen=True)
class Request:
    """One call: `service` without argument, `argument` with its leading `+`."""

    service: str
    argument: str
    source: str
    target: str


@dataclass(frozen=True)
class Decision:
    """What to do with a call, and which rule says so (`file` is empty when none does)."""

    allowed: bool
    reason: str
    file: str = ""
    line: int = 0
    action: str = ""
    target: str = ""
    user: str = ""
    autostart: bool = True
    notify: bool = True


@dataclass(frozen=True)
class Rule:
    """One line of policy. `service` and `argument` are None where the line says `*`."""

    file: Path
    line: int
    service: str | None
    argument: str | None
    source: Token
    target: Token
    action: str
    redirect: Token | None
    user: str
    autostart: bool
    notify: bool

    def matches(self, request: Request, intended: Token, domains: Domains) -> bool:
        """Tell whether the line is about this request, whose target is `intended`."""
        return (
            self.service in (None, request.service)
            and self.argument in (None, request.argument)
            and self.source.matches(Token.of_name(request.source), domains, None)
            and self.target.matches(intended, domains, request.source)
        )


@dataclass(frozen=True)
class Policy:
    """All lines of all files, in the order in which they are tried."""

    rules: tuple[Rule, ...]

    @classmethod
    def load(cls, directories: Sequence[Path], until: float = math.inf) -> Policy:
        """Read the `.policy` files of the directories; raise PolicyError for any fault in them.

        The files are sorted by name over all directories. Of two with one name the one in the
        earlier directory counts. A file that came after the time `until` is not seen yet.
        """
        files: dict[str, Path] = {}
        try:
            for directory in directories:
                for path in _policy_files(directory, until):
                    files.setdefault(path.name, path)
            rules = [rule for name in sorted(files) for rule in _parse_file(files[name])]
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"cannot read the policy: {error}") from error
        return cls(tuple(rules))

    def evaluate(self, request: Request, domains: Domains) -> Decision:
        """Decide by the first line that matches; without one the call is denied."""
        try:
            intended = parse_intended(request.target, domains)
        except TokenError as error:
            return Decision(False, str(error))
        try:
            for rule in self.rules:
                if rule.matches(request, intended, domains):
                    return _carry_out(rule, request, intended, domains)
        except NoDisposableTemplate as error:
            return Decision(False, str(error))
        return Decision(False, "no line is about it")


def decide(
    directories: Sequence[Path], request: Request, domains: Domains, until: float = math.inf
) -> Decision:
    """Load the policy and evaluate one request; a policy that cannot be loaded denies."""
    try:
        policy = Policy.load(directories, until)
    except PolicyError as error:
        return Decision(False, f"error loading policy: {error}")
    return policy.evaluate(request, domains)


def _policy_files(directory: Path, until: float) -> list[Path]:
    found = []
    for path in directory.iterdir():
        if path.is_file() and path.suffix == ".policy" and not path.name.startswith("."):
            if path.stat().st_ctime > until:
                continue
            if not set(path.name) <= FILE_CHARSET:
                raise PolicyError(f"invalid filename: {path}")
            found.append(path)
    return sorted(found)


def _parse_file(path: Path) -> Iterator[Rule]:
    with path.open(encoding="utf-8") as lines:
        for number, raw in enumerate(lines, start=1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            try:
                yield parse_line(line, path, number)
            except (ValueError, TokenError) as error:
                raise PolicyError(f"{path}:{number}: {error}") from error


def parse_line(line: str, path: Path, number: int) -> Rule:
    """Parse one line; raise ValueError or TokenError with what is wrong in it."""
    if line.startswith("!"):
        raise ValueError("directives are not in the lab")
    columns = line.split()
    if len(columns) < 5:
        raise ValueError("a line has five words at least")
    service, argument = _parse_call(columns[0], columns[1])
    action = columns[4]
    if action not in OPTIONS:
        raise ValueError(f"invalid action: {action}")
    source, target = parse_token(columns[2], SOURCE), parse_token(columns[3], TARGET)
    options = _parse_options(action, columns[5:])
    redirect = None
    if "target" in options:
        redirect = parse_token(options["target"], REDIRECT)
    if "default_target" in options:
        parse_token(options["default_target"], REDIRECT)
    if action == "allow" and target.kind == "default" and redirect is None:
        raise ValueError("allow for @default must say target=")
    return Rule(
        path,
        number,
        service,
        argument,
        source,
        target,
        action,
        redirect,
        user=options.get("user", ""),
        autostart=options.get("autostart", "yes") == "yes",
        notify=options.get("notify", "yes" if action == "deny" else "no") == "yes",
    )


def _parse_call(service: str, argument: str) -> tuple[str | None, str | None]:
    if service != "*" and not set(service) <= CALL_CHARSET - {"+"}:
        raise ValueError(f"service {service!r} has a character that none may have")
    if argument == "*":
        return (None if service == "*" else service), None
    if service == "*":
        raise ValueError("only argument * is allowed for service *")
    if not argument.startswith("+") or not set(argument) <= CALL_CHARSET:
        raise ValueError(f"argument {argument!r} is neither * nor + and a name")
    return service, argument


def _parse_options(action: str, words: Sequence[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in OPTIONS[action]:
            raise ValueError(f"invalid parameter for {action}: {word!r}")
        if key in options:
            raise ValueError(f"{key!r} is there twice")
        if key in ("notify", "autostart") and value not in ("yes", "no"):
            raise ValueError(f"{key!r} is neither yes nor no")
        options[key] = value
    return options


def _carry_out(rule: Rule, request: Request, intended: Token, domains: Domains) -> Decision:
    def answer(allowed: bool, reason: str, target: str = "") -> Decision:
        return Decision(
            allowed,
            f"{reason} {rule.file}:{rule.line}",
            str(rule.file),
            rule.line,
            rule.action,
            target,
            rule.user,
            rule.autostart,
            rule.notify,
        )

    if rule.action != "allow":
        return answer(False, "denied by policy" if rule.action == "deny" else "nobody to ask")
    try:
        target = _resolve(rule, request, intended, domains)
    except (TokenError, NoDisposableTemplate) as error:
        return answer(False, str(error))
    if not rule.autostart and not _runs(target, domains):
        return answer(False, f"target {target} would have to be started:")
    if target == request.source:
        return answer(False, "loopback call is not supported:")
    return answer(True, "allowed", target)


def _resolve(rule: Rule, request: Request, intended: Token, domains: Domains) -> str:
    chosen = rule.redirect or intended
    token = parse_intended(chosen.text, domains)
    if token.kind == "default":
        raise TokenError("no target is given by caller or policy:")
    if token.kind == "dispvm":
        own = domains.get(request.source)
        if own is None or own.default_dispvm is None:
            raise NoDisposableTemplate("no disposable template is set for the caller:")
        return "@dispvm:" + own.default_dispvm
    return "dom0" if token.text in ADMIN_NAMES else token.text


def _runs(target: str, domains: Domains) -> bool:
    if target in ADMIN_NAMES:
        return True
    if target.startswith("@dispvm"):
        return False
    return domains[target].power_state == "Running"
