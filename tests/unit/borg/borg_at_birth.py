#!/usr/bin/python3 -I
"""A stand-in for borg at a birth: what it says and leaves depends on a repository's directory.

The directory and the words it is run with follow one another: DIRECTORY WORD... As borg, it makes
no repository beside a key file that is there, and leaves what it had begun. Beside the directory, a
file `trouble` has a line for each run to come: a msgid that it fails with, or nothing.
"""

import json
import os
import sys
from pathlib import Path


def fails(msgid: str, code: int) -> int:
    """Say why in borg's own log, and end."""
    record = {"type": "log_message", "levelname": "ERROR", "name": "borg", "message": msgid,
              "msgid": msgid}
    print(json.dumps(record), file=sys.stderr)
    return code


def init(place: Path, key_file: Path, encryption: str) -> int:
    """Make the repository, and its key where that belongs."""
    if place.exists():
        return fails("Repository.AlreadyExists", 10)
    place.mkdir()
    key = f"BORG_KEY {os.urandom(32).hex()}\nhqlh\n"
    (place / "id").write_text(key)
    if encryption.startswith("keyfile"):
        if key_file.exists():
            return fails("Error", 2)
        key_file.write_text(key)
    else:
        (place / "key").write_text(key)
    (place / "manifest").write_text("x")
    return 0


def listing(place: Path, key_file: Path) -> int:
    """Open the repository."""
    if not place.exists():
        return fails("Repository.DoesNotExist", 13)
    if not (place / "manifest").exists():
        return fails("NoManifestError", 26)
    if not (place / "key").exists() and not key_file.exists():
        return fails("KeyfileNotFoundError", 42)
    if not (place / "key").exists() and key_file.read_text() != (place / "id").read_text():
        return fails("KeyfileMismatchError", 42)
    print(json.dumps({"archives": []}))
    return 0


def main() -> int:
    """Act as borg."""
    place, words = Path(sys.argv[1]), sys.argv[2:]
    key_file = Path(os.environ.get("BORG_KEY_FILE", "/nonexistent"))
    trouble = place.with_name("trouble")
    now, *later = trouble.read_text().split("\n") if trouble.exists() else [""]
    trouble.write_text("\n".join(later))
    if now:
        return fails(now, 2)
    if "init" in words:
        return init(place, key_file, words[words.index("--encryption") + 1])
    return listing(place, key_file)


if __name__ == "__main__":
    sys.exit(main())
