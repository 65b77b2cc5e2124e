"""What a name may be: each allowed form beside the hostile ones that look like it."""

import pytest

from qborg_wire import names
from qborg_wire.names import NameRefused, Repository

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43

QUBES = {
    "plain": "work",
    "dots": "w.2-x_3",
    "upper": "Work",
    "longest": "a" * 31,
}
NOT_QUBES = {
    "empty": "",
    "too-long": "a" * 32,
    "digit-first": "2work",
    "dash-first": "-work",
    "newline": "work\n",
    "slash": "wo/rk",
    "dotdot": "..",
    "dom0": "dom0",
    "dom0-upper": "Dom0",
    "domain-0": "Domain-0",
    "none": "none",
    "default": "default",
    "stubdomain": "work-dm",
    "look-alike": "w\u043erk",
    "nul": "wo\0rk",
    "not-text": 7,
    "absent": None,
}


@pytest.mark.parametrize("text", QUBES.values(), ids=QUBES)
def test_a_qubes_name_is_answered_as_it_is(text: str) -> None:
    assert names.parse_qube(text) == text


@pytest.mark.parametrize("text", NOT_QUBES.values(), ids=NOT_QUBES)
def test_what_qubesd_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(NameRefused) as refused:
        names.parse_qube(text)

    assert str(text) not in str(refused.value) or text == ""


@pytest.mark.parametrize(
    ("text", "machine", "qube"),
    [("home-work", "home", "work"), ("m-a-b", "m", "a-b"), ("m-a.b", "m", "a.b")],
    ids=["plain", "dash-in-the-qube", "dot-in-the-qube"],
)
def test_the_first_dash_splits_a_repository(text: str, machine: str, qube: str) -> None:
    repository = names.parse_repository(text)

    assert repository == Repository(machine, qube)
    assert str(repository) == text
    assert repository.url == f"ssh://bakserver/./repos/{text}"


@pytest.mark.parametrize(
    "text",
    ["work", "-work", "home-", "Home-work", "home-work/..", "home-work\n", "h" * 17 + "-work",
     "home-dom0", "home-" + "w" * 32, "home-..", "", None, b"home-work"],
)
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(NameRefused):
        names.parse_repository(text)


@pytest.mark.parametrize(
    "text",
    [KEY + "\n", KEY + " comment", 'command="x" ' + KEY, KEY[:-1], KEY + "A", KEY.replace("-", "_"),
     "ssh-dss AAAA", KEY.replace("AAAAC3", "AAAAB3"), KEY[:-2] + "\u0410\u0410"],
    ids=["newline", "comment", "options", "short", "long", "type", "dss", "other-blob", "unicode"],
)
def test_a_public_key_is_type_and_blob_alone(text: str) -> None:
    assert names.parse(names.PUBLIC_KEY, 800, KEY) == KEY
    with pytest.raises(NameRefused):
        names.parse(names.PUBLIC_KEY, 800, text)


def test_the_length_is_looked_at_before_the_content() -> None:
    with pytest.raises(NameRefused, match="too long"):
        names.parse(names.DIGEST, 64, "0" * 10_000_000)


def test_one_key_has_one_spelling() -> None:
    blob = "ssh-rsa " + "AAAAB3NzaC1yc2EA" + "A" * 359 + "="

    assert names.fingerprint(blob).startswith("SHA256:")
    with pytest.raises(ValueError, match="another spelling"):
        names.fingerprint(blob.removesuffix("A=") + "B=")
