"""How borg is run: nothing of the person's environment, no secret in sight, no path as option."""

import pytest

from qborg_borg import command
from qborg_borg.command import Access
from qborg_service.secret import Secret

WORD = b"correct-horse"
ACCESS = Access("ssh://bakserver/./repos/m-work", "borg14", "ssh", Secret(WORD))
BUILT = {
    "init": command.init(ACCESS, "repokey-blake2"),
    "export": command.export_key(ACCESS),
    "list": command.list_archives(ACCESS),
    "dry-create": command.dry_create(ACCESS, ["R /home/user", "! pp:-x"]),
    "own": command.own_archives(ACCESS, "work"),
    "extract": command.extract(ACCESS, "a", ["--help"], ["home/user/.ssh"]),
    "stdout": command.extract_to_stdout(ACCESS, "a", "home/user/f"),
}


@pytest.mark.parametrize("tail", BUILT.values(), ids=BUILT)
def test_what_names_the_repository_stands_behind_the_options(tail: list[str]) -> None:
    after = tail[tail.index("--") + 1 :]

    assert after[0].startswith(ACCESS.url)
    assert not any(word.startswith("-") for word in after)


@pytest.mark.parametrize("tail", BUILT.values(), ids=BUILT)
def test_no_command_line_holds_the_passphrase(tail: list[str]) -> None:
    assert WORD.decode() not in " ".join(command.argv(ACCESS, tail))
    assert WORD.decode() not in repr(ACCESS)


def test_the_environment_is_closed_and_holds_no_secret() -> None:
    environment = command.environment(ACCESS, 9, "/home/user")

    assert environment == {
        "BORG_DISPLAY_PASSPHRASE": "no", "BORG_EXIT_CODES": "modern",
        "BORG_PASSPHRASE_FD": "9", "BORG_REMOTE_PATH": "borg14", "BORG_RSH": "ssh",
        "HOME": "/home/user", "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": "UTC",
    }


def test_an_empty_base_directory_takes_borgs_memory_away() -> None:
    access = Access(ACCESS.url, "borg", "ssh", Secret(b"x"), "/tmp/empty")

    assert command.environment(access, 9, "/home/user")["BORG_BASE_DIR"] == "/tmp/empty"


@pytest.mark.parametrize("path", ["re:.*", "sh:**", "-rf", "fm:*"])
def test_a_path_to_restore_is_never_a_pattern(path: str) -> None:
    assert command.extract(ACCESS, "a", [path])[-1] == f"pp:{path}"


def test_the_probe_goes_the_way_of_borg() -> None:
    access = Access(ACCESS.url, "borg14", "ssh -F '/a b/config'", Secret(b"x"))

    assert command.serve(access) == [
        "/usr/bin/ssh", "-F", "/a b/config", "--", "bakserver", "borg14", "serve",
    ]
