"""The configuration that borgmatic is run with, composed anew for every run.

Runs in clients; pure. What opens the repository stays in the bundle's own file, which is
included; here stands what depends on the user's files and on the borgmatic of the template, so
a new template needs no new delivery.
"""

import json
import re
from collections.abc import Sequence

from qborg_borg.key_export import KEYFILE, REPOKEY
from qborg_client.paths import Paths
from qborg_client.settings import Settings

OLDEST = (1, 8)  # before it, one flat configuration file is not understood
_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_ONLY_SKIPS = (1, 8, 5)
_BOOTSTRAP_HOOK = (1, 9, 4)
_EVERYTHING_IN_FILE = (2, 0, 0)
_STRICT_WARNINGS = (2, 1, 0)
# borg's warnings that borgmatic 2.1 made errors: one unreadable file would end every backup.
_MERE_WARNINGS = (101, 102, 104, 105, 106)

Version = tuple[int, int, int]


def parse_version(text: str) -> Version | None:
    """Answer the version that `borgmatic --version` or `borg --version` tells, None if none."""
    match = _VERSION.search(text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3] or 0))


def compose(
    paths: Paths, patterns: Sequence[str], settings: Settings, version: Version,
    encryption: str = REPOKEY,
) -> str:
    """Answer the configuration as YAML: an include of the bundle's file, then JSON values.

    `version` is at least OLDEST; `encryption` is the bundle's.
    """
    options: dict[str, object] = {
        # The bundle's own say /home/user, and the qube's default_user may be another.
        "ssh_command": paths.ssh_command,
        "encryption_passcommand": paths.passcommand,
        "patterns": list(patterns),
        "exclude_caches": True,
        "lock_wait": 60,
        # Seconds of work that a cut costs at most: the next run finds the rest on the server.
        "checkpoint_interval": 300,
        # borgmatic's own --json hides borg's progress from 2.1 on, borg's does not.
        "extra_borg_options": {"create": "--json"},
    }
    if settings.upload_limit_kib:
        options["upload_rate_limit"] = settings.upload_limit_kib
    if encryption == KEYFILE:
        options["borg_keys_directory"] = str(paths.bundle)
    options |= _by_version(version)
    lines = [f"{key}: {_yaml(value)}" for key, value in options.items()]
    return "\n".join([f"<<: !include {_yaml(str(paths.bundle / 'borgmatic.yaml'))}", *lines, ""])


def _yaml(value: object) -> str:
    """Answer a value as JSON that is YAML too: no raw control characters, no surrogate pairs."""
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _by_version(version: Version) -> dict[str, object]:
    options: dict[str, object] = {}
    if version >= _ONLY_SKIPS:
        options["skip_actions"] = ["prune", "compact", "check"]
    if version >= _BOOTSTRAP_HOOK:
        # Older ones look for a list of directories here and fail without one; sources.py looks too.
        options["source_directories_must_exist"] = True
        options["bootstrap"] = {"store_config_files": False}
    elif version >= _ONLY_SKIPS:
        options["store_config_files"] = False
    if version >= _EVERYTHING_IN_FILE:
        options["log_json"] = True
    if version >= _STRICT_WARNINGS:
        options["unsafe_skip_path_validation_before_create"] = True
        options["borg_exit_codes"] = [
            {"code": code, "treat_as": "warning"} for code in _MERE_WARNINGS
        ]
    return options


def arguments(configuration: str, version: Version) -> list[str]:
    """Answer borgmatic's arguments for `create` and nothing else, with borg's log as JSON."""
    log = [] if version >= _EVERYTHING_IN_FILE else ["--log-json"]
    return ["--config", configuration, "--verbosity", "-1", *log, "create", "--progress"]


def format_version(version: Version) -> str:
    """Answer a version as the contract spells it."""
    return ".".join(map(str, version))
