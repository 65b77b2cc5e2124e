"""The configuration for each borgmatic: the keys it knows, and no other."""

import json
from pathlib import Path

import pytest

from qborg_client import effective
from qborg_client.effective import Version
from qborg_client.paths import Paths
from qborg_client.settings import Settings

ALWAYS = {"ssh_command", "encryption_passcommand", "patterns", "exclude_caches", "lock_wait",
          "checkpoint_interval", "extra_borg_options"}  # fmt: skip
PATHS = Paths(Path("/home/u"))
OLD = ALWAYS | {"skip_actions", "store_config_files"}
NEW = ALWAYS | {"skip_actions", "bootstrap", "source_directories_must_exist"}
# As each version's schema allows; another key makes borgmatic refuse the whole file.
KEYS = {
    "1.8.0": ((1, 8, 0), ALWAYS),
    "1.8.14": ((1, 8, 14), OLD),
    "1.9.0": ((1, 9, 0), OLD),
    "1.9.14": ((1, 9, 14), NEW),
    "2.0.13": ((2, 0, 13), NEW | {"log_json"}),
    "2.1.10": ((2, 1, 10), NEW | {
        "log_json", "unsafe_skip_path_validation_before_create", "borg_exit_codes",
    }),
}  # fmt: skip


def options(version: Version, patterns: tuple[str, ...] = ("R /home/user",)) -> dict[str, object]:
    """Answer the composed options but the include, read as the JSON that they are."""
    text = effective.compose(PATHS, patterns, Settings(), version)
    pairs = [line.split(": ", 1) for line in text.split("\n")[1:-1]]
    return {key: json.loads(value) for key, value in pairs}


@pytest.mark.parametrize(("version", "keys"), KEYS.values(), ids=KEYS)
def test_each_version_gets_the_keys_it_knows(version: Version, keys: set[str]) -> None:
    assert set(options(version)) == keys


def test_what_opens_the_repository_comes_from_the_bundles_file() -> None:
    text = effective.compose(PATHS, (), Settings(), (1, 9, 14))

    assert text.startswith('<<: !include "/home/u/.ssh/backups/borgmatic.yaml"\n')
    assert "repositories" not in text


def test_ssh_reads_the_bundles_configuration_and_not_the_users() -> None:
    assert options((1, 9, 14))["ssh_command"] == "ssh -F /home/u/.ssh/backups/bakserver"


def test_the_passphrase_is_read_from_the_home_that_there_is() -> None:
    assert options((1, 9, 14))["encryption_passcommand"] == "cat /home/u/.ssh/backups/borgpass"


@pytest.mark.parametrize("version", [row[0] for row in KEYS.values()], ids=KEYS)
def test_only_create_is_run(version: Version) -> None:
    assert effective.arguments("/c.yaml", version)[-2:] == ["create", "--progress"]


def test_a_speed_limit_is_passed_on() -> None:
    text = effective.compose(PATHS, (), Settings(upload_limit_kib=512), (1, 9, 14))

    assert "upload_rate_limit: 512\n" in text


def test_a_key_file_is_looked_for_in_the_bundle_and_nowhere_else() -> None:
    with_key, plain = (effective.compose(PATHS, (), Settings(), (1, 8, 0), encryption)
                       for encryption in ("keyfile-blake2", "repokey-blake2"))

    line = f'borg_keys_directory: "{PATHS.bundle}"\n'
    assert line in with_key and with_key.replace(line, "") == plain


HOSTILE = {
    "quotes": '! /a"b\': c',
    "line-end": "! /a\nrepositories: []",
    "next-line": "! /a\u0085b",
    "separator": "! /a\u2028b",
    "delete": "! /a\x7fb",
    "byte-order-mark": "! \ufeffa",
    "escape": "! /\x1b[31m",
    "tag": "! !include /etc/passwd",
    "emoji": "! /\U0001f600",
}


@pytest.mark.parametrize("pattern", HOSTILE.values(), ids=HOSTILE)
def test_a_pattern_stays_one_value(pattern: str) -> None:
    text = effective.compose(PATHS, (pattern,), Settings(), (1, 9, 14))

    assert options((1, 9, 14), (pattern,))["patterns"] == [pattern]
    assert all(char.isprintable() or char == "\n" for char in text)


VERSIONS = {
    "borg 1.4.0\n": (1, 4, 0), "2.1.10": (2, 1, 10), "1.8": (1, 8, 0), "none": None, "": None,
}  # fmt: skip


@pytest.mark.parametrize(("text", "version"), VERSIONS.items())
def test_versions_are_read(text: str, version: Version | None) -> None:
    assert effective.parse_version(text) == version
