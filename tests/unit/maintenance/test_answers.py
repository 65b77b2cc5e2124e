"""What the server answers, taken as untrusted: versions, exports, listings, words."""

from pathlib import Path

import pytest

from qborg_borg import birth
from qborg_maintenance import connection, probe, repository
from qborg_maintenance.keys import ClientKeys
from qborg_service.failure import ServiceFailure
from qborg_service.process import Finished
from qborg_wire.names import Repository


@pytest.mark.parametrize(
    ("output", "version"),
    [
        (b"borg 1.4.0\n", "1.4.0"), (b"borg14 1.4.5\n", "1.4.5"), (b"borg 1.2.8", "1.2.8"),
        (b"borg 1.10.0\n", "1.10.0"), (b"borg 1.4.0b2\n", "1.4.0b2"),
    ],
)  # fmt: skip
def test_a_borg_that_will_do_is_known(output: bytes, version: str) -> None:
    assert probe.parse_version(output) == version


NO_BORG = {
    "empty": b"",
    "borg-2": b"borg 2.0.0b19\n",
    "borg-1.1": b"borg 1.1.17\n",
    "borg-0": b"borg 0.29.0\n",
    "no-number": b"borg unknown\n",
    "one-number": b"borg 1\n",
    "two-lines": b"borg 1.4.0\nborg 1.4.0\n",
    "banner": b"Welcome!\nborg 1.4.0\n",
    "escape": b"borg 1.4.0\x1b[2J\n",
    "long": b"borg 1.4." + b"1" * 5000,
    "not-ascii": "borg 1.4.\u0660\n".encode(),
}


@pytest.mark.parametrize("untrusted_output", NO_BORG.values(), ids=NO_BORG)
def test_a_borg_that_will_not_do_is_none(untrusted_output: bytes) -> None:
    assert probe.parse_version(untrusted_output) is None


def test_an_exported_key_has_one_digest_however_it_is_wrapped() -> None:
    head = b"BORG_KEY " + b"ab" * 32 + b"\n"

    first = birth.parse_export(head + b"AAAA\nBBBB\n")
    assert first == birth.parse_export(head + b"AAAABBBB")
    assert first != birth.parse_export(head + b"AAAA\nBBBC\n")
    assert first.repository_id == "ab" * 32


EXPORTS = {
    "empty": b"",
    "no-head": b"AAAA\nBBBB\n",
    "other-head": b"BORG_KEX " + b"ab" * 32 + b"\nAAAA\n",
    "head-only": b"BORG_KEY " + b"ab" * 32 + b"\n",
    "body-of-spaces": b"BORG_KEY " + b"ab" * 32 + b"\n \n",
    "id-short": b"BORG_KEY abab\nAAAA\n",
    "id-not-hex": b"BORG_KEY " + b"zz" * 32 + b"\nAAAA\n",
    "not-text": b"\xff" * 100,
}


@pytest.mark.parametrize("untrusted_export", EXPORTS.values(), ids=EXPORTS)
def test_what_is_no_export_is_refused(untrusted_export: bytes) -> None:
    with pytest.raises(ServiceFailure) as caught:
        birth.parse_export(untrusted_export)

    assert caught.value.cause == "borg-failed"


def test_the_key_of_the_birth_is_never_written_over(tmp_path: Path) -> None:
    mine = ClientKeys(tmp_path, Repository("dom", "work"))
    born, another = (b"BORG_KEY " + b"ab" * 32 + b"\n" + body + b"\n" for body in (b"AA", b"BB"))

    repository.keep(mine, born, created=True)
    repository.keep(mine, born.replace(b"AA", b"A\nA"), created=False)
    with pytest.raises(ServiceFailure) as caught:
        repository.keep(mine, another, created=False)

    assert caught.value.cause == "wrong-passphrase"
    assert mine.export.read_bytes().split() == [b"BORG_KEY", b"ab" * 32, b"A", b"A"]


def test_a_repository_born_again_leaves_the_older_key_beside(tmp_path: Path) -> None:
    mine = ClientKeys(tmp_path, Repository("dom", "work"))
    born, another = (b"BORG_KEY " + b"ab" * 32 + b"\n" + body + b"\n" for body in (b"AA", b"BB"))
    repository.keep(mine, born, created=True)

    repository.keep(mine, another, created=True)

    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == [born, another]
    assert mine.export.read_bytes() == another


WORDS = [
    "a b", "a;id", "$(id)", "`id`", "a|b", "a>b", "a&", "'a'", '"a"', "*", "~", "a\n", "", "\\",
]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_a_word_that_a_shell_might_interpret_is_never_sent(tmp_path: Path, word: str) -> None:
    account = connection.Connection(tmp_path / "no-config", tmp_path / "no-session")

    with pytest.raises(ValueError, match="shell"):
        account.run("ls", word)
    with pytest.raises(ValueError, match="sftp"):
        account.transfer(f"@rm {word}" if word != "a b" else "@rm 'a b'")


@pytest.mark.parametrize(
    ("stderr", "cause"),
    [
        (b"dd: closing output file: No space left on device", "server-full"),
        (b"dd: writing: Disk quota exceeded", "server-full"),
        (b"dd: Permission denied", "access-changed"),
        (b"mv: cannot move 'a' to 'b': Operation not permitted", "access-changed"),
        (b"remote open \"/repos/x\": Failure", "publish-refused"),
        (b"", "publish-refused"),
        (b"\xff\xfe", "publish-refused"),
    ],
)
def test_no_space_is_told_apart(stderr: bytes, cause: str) -> None:
    assert connection.refusal(Finished(1, b"", stderr), "x").cause == cause
