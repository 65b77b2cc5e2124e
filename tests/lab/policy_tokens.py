"""The words of qrexec policy that stand for qubes, and what each of them matches.

Runs in the supervisor, under `policy`. It knows the system only as `Domains`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ADMIN_NAMES = frozenset({"@adminvm", "dom0", "uuid:00000000-0000-0000-0000-000000000000"})

EXACT: Mapping[str, str] = {
    "*": "any",
    "@adminvm": "adminvm",
    "@anyvm": "anyvm",
    "@default": "default",
    "@dispvm": "dispvm",
}
# A longer prefix stands before the shorter one that it begins with.
PREFIXES: Mapping[str, str] = {
    "@type:": "type",
    "@tag:": "tag",
    "@dispvm:@tag:": "dispvm-tag",
    "@dispvm:": "dispvm-of",
}

_BOTH = frozenset({"name", "any", "adminvm", "anyvm", "type", "tag", "dispvm-of", "dispvm-tag"})
SOURCE = _BOTH
TARGET = _BOTH | {"default", "dispvm"}
REDIRECT = frozenset({"name", "adminvm", "dispvm", "dispvm-of"})
INTENDED = REDIRECT | {"default"}


class TokenError(Exception):
    """A word that does not stand for a qube, or not in this column."""


class NoDisposableTemplate(Exception):
    """`@dispvm` was asked for by a qube that has no disposable template."""


@dataclass(frozen=True)
class Domain:
    """What policy may know of one qube. `default_dispvm` is a name or None."""

    name: str
    uuid: str
    klass: str
    tags: frozenset[str]
    power_state: str
    template_for_dispvms: bool
    default_dispvm: str | None


class Domains(Mapping[str, Domain]):
    """All qubes, each found under its name and under `uuid:` and its uuid."""

    def __init__(self, domains: tuple[Domain, ...]) -> None:
        """Index the qubes both ways."""
        self._found = {domain.name: domain for domain in domains}
        self._found |= {"uuid:" + domain.uuid: domain for domain in domains}

    def __getitem__(self, key: str) -> Domain:
        """Return the qube of that name or `uuid:`; raise KeyError."""
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        """Iterate over names and `uuid:` forms."""
        return iter(self._found)

    def __len__(self) -> int:
        """Return twice the number of qubes."""
        return len(self._found)


@dataclass(frozen=True)
class Token:
    """One word: its kind, the whole text, and what follows its prefix."""

    kind: str
    text: str
    value: str

    @classmethod
    def of_name(cls, name: str) -> Token:
        """Return the token of a qube's own name, or of its `uuid:` form."""
        return cls("name", name, name)

    def matches(self, other: Token, domains: Domains, source: str | None) -> bool:
        """Tell whether a rule with this word is about `other`.

        `source` is the caller when `other` is a target: it decides what `@dispvm` stands for.
        Raise NoDisposableTemplate where that leads nowhere.
        """
        if self.text in ADMIN_NAMES:
            return other.text in ADMIN_NAMES
        if self.kind in ("dispvm-of", "dispvm-tag"):
            return self._matches_disposable(other, domains, source)
        simple = {
            "any": True,
            "anyvm": other.text not in ADMIN_NAMES,
            "default": other.text == self.text,
            "dispvm": other.text == self.text,
        }
        if self.kind in simple:
            return simple[self.kind]
        known = domains.get(other.text)
        if self.kind == "name":
            return _same(self.text, other.text, domains)
        if known is None:
            return False
        return known.klass == self.value if self.kind == "type" else self.value in known.tags

    def _matches_disposable(self, other: Token, domains: Domains, source: str | None) -> bool:
        if source is None:
            return False
        if other.kind == "dispvm":
            own = domains.get(source)
            template = own.default_dispvm if own else None
            if template is None and self.kind == "dispvm-of":
                raise NoDisposableTemplate("no disposable template is set for the caller")
            if self.kind == "dispvm-of":
                return self.value == template
        elif other.kind == "dispvm-of":
            template = other.value
        else:
            return False
        if self.kind == "dispvm-of":
            return _same(self.value, other.value, domains)
        if template is None:
            return False
        return domains[template].template_for_dispvms and self.value in domains[template].tags


def _same(rule: str, other: str, domains: Domains) -> bool:
    """Compare two names, of which either may be a `uuid:`."""
    if rule.startswith("uuid:") == other.startswith("uuid:"):
        return rule == other
    named, by_uuid = (other, rule) if rule.startswith("uuid:") else (rule, other)
    known = domains.get(named)
    return known is not None and "uuid:" + known.uuid == by_uuid


def parse_token(text: str, allowed: frozenset[str]) -> Token:
    """Parse one word of a rule; raise TokenError where it is none or not `allowed` here."""
    if text and not text.startswith("@") and text != "*":
        return Token("name", text, text)
    if text in EXACT and EXACT[text] in allowed:
        return Token(EXACT[text], text, "")
    for prefix, kind in PREFIXES.items():
        value = text[len(prefix) :]
        if text.startswith(prefix) and kind in allowed and value and not value.startswith("@"):
            return Token(kind, text, value)
    raise TokenError(f"invalid token {text!r}")


def parse_intended(text: str, domains: Domains) -> Token:
    """Parse what a caller, or `target=`, names as target; an unknown qube becomes `@default`.

    Raise TokenError for a word that cannot be a target or is no disposable template.
    """
    token = parse_token(text or "@default", INTENDED)
    if token.kind == "dispvm-of":
        known = domains.get(token.value)
        if known is None or not known.template_for_dispvms:
            raise TokenError(f"not a template for disposables: {token.value}")
    if token.kind == "name" and token.text not in domains:
        return Token("default", "@default", "")
    return token
