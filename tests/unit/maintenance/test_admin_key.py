"""The admin key: made here or one's own, with or without a passphrase; never replaced in use."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qborg_maintenance import admin_key, agent, ask, private_key
from qborg_maintenance.state import State
from qborg_service import ssh_key
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret
from unit.maintenance.example import MACHINE

PHRASE = "correct horse"


def keygen(path: Path, *options: str, phrase: str = "") -> str:
    """Make a key pair; answers its public half as `TYPE BASE64`."""
    argv = ["ssh-keygen", "-q", "-N", phrase, "-C", "mine", "-f", str(path), *options]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    public = path.with_name(f"{path.name}.pub").read_text(encoding="ascii")
    return " ".join(public.split()[:2])


KINDS = {
    "ed25519": (("-t", "ed25519"), ""),
    "ed25519-locked": (("-t", "ed25519"), PHRASE),
    "rsa": (("-t", "rsa", "-b", "2048"), ""),
    "rsa-locked": (("-t", "rsa", "-b", "3072"), PHRASE),
}


@pytest.mark.parametrize(("options", "phrase"), KINDS.values(), ids=KINDS)
def test_a_key_of_the_users_own_is_taken_as_it_is(
    tmp_path: Path, options: tuple[str, ...], phrase: str
) -> None:
    state, source = State(tmp_path / "state"), tmp_path / "mine"
    public = keygen(source, *options, phrase=phrase)

    assert (admin_key.take(state, source), admin_key.take(state, source)) == (True, False)

    assert admin_key.ensure(state, MACHINE) == public
    assert admin_key.outline(state.admin_key).encrypted == bool(phrase)
    assert state.admin_key.stat().st_mode & 0o777 == 0o600
    assert admin_key.line(state, MACHINE) == f"{public} qubes-borg-admin {MACHINE}"


def test_the_outline_of_our_own_key_is_what_ssh_keygen_says(tmp_path: Path) -> None:
    state = State(tmp_path / "state")

    public = admin_key.ensure(state, MACHINE)

    assert public == ssh_key.public_key(state.admin_key)
    assert not admin_key.outline(state.admin_key).encrypted


def _former(state: State, own: str) -> Path:
    """Answer the one key that lies beside the admin key, which is the person's own."""
    former, public = sorted(state.admin.glob("key.former-*"))
    _holds(state, own, former.name, public.name)
    assert public.name == f"{former.name}.pub"
    return former


def _holds(state: State, public: str, *names: str) -> None:
    """Assert which key is the admin key, and that nothing else lies there than former ones."""
    assert (admin_key.public_key(state), ssh_key.public_key(state.admin_key)) == (public, public)
    assert {path.name for path in state.admin.iterdir()} == {"key", *names}


def test_the_key_that_was_made_gives_way_before_the_set_up_ends(tmp_path: Path) -> None:
    state, source = State(tmp_path / "state"), tmp_path / "mine"
    made, own = admin_key.ensure(state, MACHINE), keygen(source, "-t", "ed25519")

    assert (admin_key.take(state, source), admin_key.take(state, source)) == (True, False)

    former = _former(state, own)
    assert ssh_key.public_key(former) == made and former.stat().st_mode & 0o777 == 0o600
    assert admin_key.ensure(state, MACHINE) == own
    assert admin_key.take(state, former), "nothing is lost: it can be had back"
    assert admin_key.public_key(state) == made


@pytest.mark.parametrize("number", range(3))
def test_a_take_that_is_killed_leaves_one_key_and_the_next_one_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    state, source = State(tmp_path / "state"), tmp_path / "mine"
    made, own = admin_key.ensure(state, MACHINE), keygen(source, "-t", "ed25519")
    calls = [(os, "link"), (Path, "rename"), (os, "rename")]

    def killed(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(*calls[number], killed)
        admin_key.take(state, source)
    assert admin_key.ensure(state, MACHINE) == ssh_key.public_key(state.admin_key) == made

    assert admin_key.take(state, source)
    former = _former(state, own)
    assert ssh_key.public_key(former) == made


@pytest.mark.parametrize("shows", ["settings", "record"])
def test_another_key_never_takes_the_place_of_one_in_use(tmp_path: Path, shows: str) -> None:
    state, source = State(tmp_path / "state"), tmp_path / "mine"
    public = admin_key.ensure(state, MACHINE)
    getattr(state, shows).touch()
    keygen(source, "-t", "ed25519")

    with pytest.raises(ServiceFailure, match="another admin key") as caught:
        admin_key.take(state, source)

    assert caught.value.cause == "account-held"
    _holds(state, public, "key.pub")


OTHERS = {
    "ecdsa": (("-t", "ecdsa"), "neither an ed25519 nor an RSA"),
    "pem": (("-t", "rsa", "-m", "PEM", "-b", "2048"), "ssh-keygen -p -f"),
    "small-rsa": (("-t", "rsa", "-b", "1024"), "of a size"),
}


@pytest.mark.parametrize(("options", "says"), OTHERS.values(), ids=OTHERS)
def test_a_key_that_cannot_be_used_is_refused(
    tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    state, source = State(tmp_path / "state"), tmp_path / "mine"
    keygen(source, *options)

    with pytest.raises(ServiceFailure, match=says) as caught:
        admin_key.take(state, source)

    assert caught.value.cause == "admin-key-refused"
    assert not state.root.exists()


HEAD, TAIL = b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"-----END OPENSSH PRIVATE KEY-----\n"
NO_KEYS = {
    "empty": b"",
    "public": b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + b"A" * 43 + b" mine\n",
    "no-base64": HEAD + b"!!!!\n" + TAIL,
    "no-magic": HEAD + b"AAAA\n" + TAIL,
    "magic-only": HEAD + b"b3BlbnNzaC1rZXktdjEA\n" + TAIL,
    "length-beyond-the-end": HEAD + b"b3BlbnNzaC1rZXktdjEA/////w==\n" + TAIL,
    "not-text": bytes(range(256)),
    "too-long": HEAD + b"A" * private_key.LIMIT + b"\n" + TAIL,
}


@pytest.mark.parametrize("untrusted_file", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_key_is_refused(tmp_path: Path, untrusted_file: bytes) -> None:
    state, source = State(tmp_path / "state"), tmp_path / "mine"
    source.write_bytes(untrusted_file)

    with pytest.raises(ServiceFailure) as caught:
        admin_key.take(state, source)

    assert caught.value.cause == "admin-key-refused"


@pytest.mark.parametrize("place", ["nothing", "folder", "link"])
def test_a_place_that_holds_no_file_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    keygen(tmp_path / "mine", "-t", "ed25519")

    with pytest.raises(ServiceFailure) as caught:
        admin_key.take(State(tmp_path / "state"), tmp_path / place)

    assert caught.value.cause == "admin-key-refused"


@pytest.fixture(name="locked")
def locked_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A key with a passphrase, and an agent's place of its own that goes with it."""
    place = tmp_path / "agent" / "socket"
    monkeypatch.setattr(agent, "socket", lambda: place)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    keygen(tmp_path / "mine", "-t", "ed25519", phrase=PHRASE)
    yield tmp_path / "mine"
    subprocess.run(["pkill", "-f", f"ssh-agent -D -a {place}"], check=False)


def test_a_locked_key_is_unlocked_once(locked: Path) -> None:
    with pytest.raises(ServiceFailure) as caught:
        agent.required_by(locked)
    assert caught.value.cause == "admin-key-locked"

    agent.unlock(locked, Secret(PHRASE.encode()))

    assert agent.required_by(locked) == agent.required_by(locked) == str(agent.socket())


def test_a_look_that_no_person_waits_for_opens_no_window(
    locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = tmp_path / "zenity"
    window.write_text(f"#!/bin/sh\necho '{PHRASE}'\n", encoding="ascii")
    window.chmod(0o755)
    monkeypatch.setattr(ask, "_ZENITY", str(window))
    monkeypatch.setenv("DISPLAY", ":0")

    with pytest.raises(ServiceFailure, match="not typed"):
        agent.required_by(locked, asks=False)

    assert agent.required_by(locked) == str(agent.socket())
    assert agent.required_by(locked, asks=False) == str(agent.socket())


def test_a_window_closes_once_its_question_is_answered_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, done = tmp_path / "zenity", tmp_path / "done"
    window.write_text(f"#!/bin/sh\ntouch {done}\nsleep 300\n", encoding="ascii")
    window.chmod(0o755)
    monkeypatch.setattr(ask, "_ZENITY", str(window))
    monkeypatch.setenv("DISPLAY", ":0")
    began = time.monotonic()

    assert ask.window("a password", 250, done.exists) is None

    assert done.exists() and time.monotonic() - began < 200


def test_a_wrong_passphrase_unlocks_nothing(locked: Path) -> None:
    with pytest.raises(ServiceFailure, match="not its passphrase"):
        agent.unlock(locked, Secret(b"wrong horse"))

    with pytest.raises(ServiceFailure, match="not typed"):
        agent.required_by(locked)


def test_an_agents_place_that_others_may_enter_is_not_used(locked: Path) -> None:
    agent.socket().parent.mkdir(mode=0o755)

    with pytest.raises(ServiceFailure, match="not ours alone"):
        agent.unlock(locked, Secret(PHRASE.encode()))


def test_a_key_without_a_passphrase_needs_no_agent(tmp_path: Path) -> None:
    keygen(tmp_path / "mine", "-t", "ed25519")

    assert agent.required_by(tmp_path / "mine") == "none"
