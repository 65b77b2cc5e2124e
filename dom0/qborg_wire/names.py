"""What a name may be: qubes, machines, repositories, keys, digests, quotas.

Used on every side of the contract. Each parser takes text from a less trusted side, checks its
length first, and answers a clean value or raises NameRefused.
"""

import base64
import hashlib
import re
from dataclasses import dataclass


class NameRefused(ValueError):
    """A name outside its allow-list. The message never repeats the refused text."""


MACHINE = re.compile(r"[a-z][a-z0-9]{0,15}")
# qubes/vm/__init__.py of qubes-core-admin: at most 31 characters; dots are legal.
QUBE = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,30}")
REPOSITORY = re.compile(f"{MACHINE.pattern}-{QUBE.pattern}")
RESERVED_QUBES = frozenset({"dom0", "domain-0", "none", "default"})
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
ACCOUNT = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
# ssh refuses its whole configuration for one port above 65535.
PORT = re.compile("[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]"
                  "|6553[0-5]")
REMOTE_BORG = re.compile(r"[a-z][a-z0-9._-]{0,31}")
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
PUBLIC_KEY = re.compile(r"(?:ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}"
                        r"|ssh-rsa AAAAB3NzaC1yc2EA[A-Za-z0-9+/]{300,720}={0,2})")
DIGEST = re.compile(r"[0-9a-f]{64}")
NONCE = re.compile(r"[0-9a-f]{32}")
# As borg parses a size; it refuses a quota below 10M.
QUOTA = re.compile(r"[1-9][0-9]M|[1-9][0-9]{2,5}M|[1-9][0-9]{0,5}[GT]")
ARCHIVE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,99}")


def parse(pattern: re.Pattern[str], limit: int, untrusted_text: object) -> str:
    """Answer the text if it is a str of at most `limit` characters that matches whole."""
    if not isinstance(untrusted_text, str) or len(untrusted_text) > limit:
        raise NameRefused("not a text, or too long")
    if pattern.fullmatch(untrusted_text) is None:
        raise NameRefused("a character or shape that is not allowed")
    return untrusted_text


def parse_qube(untrusted_text: object) -> str:
    """Answer a qube's name as qubesd would accept it; dom0 is not one."""
    name = parse(QUBE, 31, untrusted_text)
    if name.lower() in RESERVED_QUBES or name.endswith("-dm"):
        raise NameRefused("a name that Qubes reserves")
    return name


def fingerprint(key: str) -> str:
    """Answer `SHA256:...` of a key `TYPE BASE64`; raises ValueError if it is not base64.

    One key has one spelling: the bits that its last character has too many are none.
    """
    text = key.split(" ")[1]
    blob = base64.b64decode(text, validate=True)
    if base64.b64encode(blob) != text.encode("ascii"):
        raise ValueError("another spelling of base64")
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"


@dataclass(frozen=True)
class Repository:
    """MACHINE-QUBE: a machine's name holds no dash, so the first dash splits."""

    machine: str
    qube: str

    def __str__(self) -> str:
        return f"{self.machine}-{self.qube}"

    @property
    def path(self) -> str:
        """Where it lies on the server, relative to the account's root."""
        return f"repos/{self}"

    @property
    def url(self) -> str:
        """The one spelling of its URL; borg remembers the spelling, so there is no other."""
        return f"ssh://bakserver/./{self.path}"


def parse_repository(untrusted_text: object) -> Repository:
    """Answer the repository that a service's argument names."""
    machine, _dash, untrusted_qube = parse(REPOSITORY, 48, untrusted_text).partition("-")
    return Repository(machine, parse_qube(untrusted_qube))
