"""The state tree as files: what reaches every management disposable, and what is in its tops."""

import math
import re
from collections import Counter
from typing import Any

import pytest

from salt import cases

FOLDER = cases.TREE / "qubes-borg"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())
SLS, TOPS = sorted(FOLDER.glob("*.sls")), sorted(FOLDER.glob("*.top"))
INSTALLS = [f"qubes-borg.install-{role}" for role in cases.ROLES]
MATCHED = ["qubes:type:template", "qubes:type:standalone"]


def top(name: str) -> dict[str, list[Any]]:
    """Answer a top's targets. Its lines are so plain that nothing but indentation tells them."""
    lines = (FOLDER / f"{name}.top").read_text(encoding="ascii").splitlines()
    found: dict[str, list[Any]] = {}
    assert lines[0] == "base:"
    for line in lines[1:]:
        if target := re.fullmatch(r"  '([a-z0-9:]+)':", line):
            entries = found.setdefault(target[1], [])
        elif entry := re.fullmatch(r"    - ((match: )?[a-z.-]+)", line):
            entries.append(entry[1])
        else:
            raise AssertionError(f"{name}.top: {line}")
    return found


def test_every_state_of_the_issue_is_there_with_its_top() -> None:
    wanted = {"init", "enable", "remove", *(f"install-{role}" for role in cases.ROLES)}

    assert set(cases.STATES) == wanted
    assert {path.stem for path in TOPS} == wanted


@pytest.mark.parametrize("name", [path.stem for path in TOPS])
def test_a_top_matches_what_it_should(name: str) -> None:
    """Packages go where they stay; dom0 gets nothing but what switches services of qubes on."""
    installs = {"init": INSTALLS, "enable": []}.get(name, [f"qubes-borg.{name}"])
    wanted = {target: ["match: pillar", *installs] for target in MATCHED if installs}
    if name in ("init", "enable"):
        wanted["dom0"] = ["qubes-borg.enable"]

    assert top(name) == wanted


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_short_and_of_a_kind_that_salt_reads(path: Any) -> None:
    lines = path.read_text(encoding="ascii").splitlines()

    assert path.suffix in (".sls", ".top", ".jinja")
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 100 and not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_there_is_no_secret(path: Any) -> None:
    """Every word is one that a person would write; a key or a passphrase is not."""
    text = path.read_text(encoding="ascii")
    words = re.findall(r"[A-Za-z0-9+/=_-]{20,}", text)

    assert not re.search(r"PRIVATE KEY|BORG_PASS|passphrase:|password:|ssh-ed25519", text)
    assert not [word for word in words if entropy(word) > 4.2 or re.search(r"\d.*\d.*\d", word)]


def entropy(word: str) -> float:
    """Answer how many bits a character of a word holds."""
    shares = [count / len(word) for count in Counter(word).values()]
    return -sum(share * math.log2(share) for share in shares)


@pytest.mark.parametrize(
    "secret", ["mK8vQ2xZr7TqLw93nYbE5dHcUf1JsPgA", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"]
)
def test_a_secret_would_be_found(secret: str) -> None:
    """Else the test above could not fail."""
    assert entropy(secret) > 4.2 or re.search(r"\d.*\d.*\d", secret)


def keys(value: Any) -> set[str]:
    """Answer the keys of a map, but for the names of families, roles and units."""
    if not isinstance(value, dict):
        return set()
    return set(value) | {key for each in value.values() for key in keys(each)}


def test_every_key_of_the_map_is_used(rendered: cases.Data) -> None:
    known = rendered["map"]
    families = known["families"]
    named = {*families, *known["roles"], *(unit for each in families.values()
             for units in each["units"].values() for unit in units)}  # fmt: skip
    code = "".join(path.read_text(encoding="ascii") for path in FILES if path.stem != "map")
    unused = {key for key in keys(known) - named if not re.search(rf"\.{key}\b", code)}

    assert not unused
    assert keys(known) > {"families", "needs", "suffix", "feature"}


def test_every_family_has_all_that_each_role_needs(rendered: cases.Data) -> None:
    known = rendered["map"]

    assert known["roles"] == list(cases.ROLES)
    for each in known["families"].values():
        assert list(each["needs"]) == list(cases.ROLES)
        assert set(each["units"]) == {"client"}
        masked = {unit for unit, wanted in each["units"]["client"].items() if wanted == "masked"}
        assert masked == set(known["unmasked"])
