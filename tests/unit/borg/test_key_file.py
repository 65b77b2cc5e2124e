"""The key file of a bundle: there whole and with its configuration, or not at all."""

import json

import pytest

from qborg_borg import key_export
from qborg_borg.bundle import (
    KEY_FILE, BundleRefused, filled, match_bundle, match_files, skeletons, with_values,
)
from qborg_borg.key_export import KEYFILE, REPOKEY, ExportRefused
from unit.borg.bundles import BORG_KEY, KEY_SLOTS, REPOSITORY, files, record, values

EXPORT = f"BORG_KEY {KEY_SLOTS['repository_id']}\n{BORG_KEY}\n"
GOOD = record(**KEY_SLOTS)
PLAIN = record()


def test_a_bundle_with_a_key_file_has_one_file_more_and_says_so() -> None:
    found, plain = match_bundle(GOOD, "work"), match_bundle(PLAIN, "work")

    assert set(found.files) - set(plain.files) == {KEY_FILE}
    assert found.files[KEY_FILE] == EXPORT.encode()
    assert (found.encryption, plain.encryption) == (KEYFILE, REPOKEY)
    assert BORG_KEY.split("\n")[1] not in repr(found)


def test_all_but_the_keys_directory_is_as_without_it() -> None:
    plain, with_key = skeletons(REPOSITORY), skeletons(REPOSITORY, KEYFILE)

    line = 'borg_keys_directory: "/home/user/.ssh/backups"\n'
    assert with_key.pop(KEY_FILE) and line in with_key["borgmatic.yaml"]
    with_key["borgmatic.yaml"] = with_key["borgmatic.yaml"].replace(line, "")
    assert with_key == plain


def test_an_exported_key_fills_it() -> None:
    plain = match_bundle(PLAIN, "work")

    made = with_values(plain, key_export.slots(f"{EXPORT}\n".encode()))

    assert made.files == match_bundle(GOOD, "work").files
    assert with_values(made, {"remote_borg": "borg12"}).files[KEY_FILE] == EXPORT.encode()
    slots = {key: value for key, value in values().items() if key not in ("qube", "repository")}
    assert filled(REPOSITORY, {**slots, **KEY_SLOTS}).files == made.files


BENT = {
    "no-key": "", "no-body": f"BORG_KEY {'1' * 64}\n", "no-id": EXPORT.replace("1d" * 32, ""),
    "another-header": EXPORT.replace("BORG_KEY", "BORG-KEY"), "twice": EXPORT * 2,
    "upper-case-id": EXPORT.replace("1d" * 32, "1D" * 32), "no-newline": EXPORT[:-1],
    "newline-more": f"{EXPORT}\n", "crlf": EXPORT.replace("\n", "\r\n"),
    "blank-first": f" {EXPORT}", "no-base64": EXPORT.replace("hqlh", "hq}h"),
    "filler-inside": EXPORT.replace("hqlh", "hq=h"), "nul": EXPORT.replace("hqlh", "hq\0h"),
    "long-line": EXPORT.replace("hqlh", "k" * 100), "too-long": EXPORT + "k" * 9000,
    "many-lines": EXPORT.replace("hqlh", "k\n" * 120),
}


@pytest.mark.parametrize("key", BENT.values(), ids=BENT)
def test_a_bent_key_is_refused_without_being_repeated(key: str) -> None:
    assert key != EXPORT
    with pytest.raises(BundleRefused) as refused:
        match_files({**files(**KEY_SLOTS), KEY_FILE: key}, REPOSITORY)

    assert "hqlh" not in str(refused.value)


ALONE = {
    "key-file": {**files(), KEY_FILE: EXPORT},
    "configuration": {name: text for name, text in files(**KEY_SLOTS).items() if name != KEY_FILE},
    "another-directory": {**files(**KEY_SLOTS), "borgmatic.yaml": files(**KEY_SLOTS)[
        "borgmatic.yaml"].replace('directory: "/home/user/.ssh/backups"', 'directory: "/tmp"')},
    "a-number": {**files(**KEY_SLOTS), KEY_FILE: 7},
}


@pytest.mark.parametrize("untrusted_files", ALONE.values(), ids=ALONE)
def test_one_without_the_other_is_refused(untrusted_files: dict[str, object]) -> None:
    with pytest.raises(BundleRefused):
        match_files(untrusted_files, REPOSITORY)


def test_a_key_that_is_for_the_same_qube_makes_another_digest() -> None:
    other = json.loads(GOOD)
    other["files"][KEY_FILE] = EXPORT.replace("1d", "2e")
    data = json.dumps(other, sort_keys=True, separators=(",", ":")).encode()

    assert match_bundle(data, "work").digest != match_bundle(GOOD, "work").digest


@pytest.mark.parametrize("export", [b"", b"BORG_KEY 12\nAAAA\n", b"BORG_KEY " + b"1" * 64])
def test_no_export_fills_nothing(export: bytes) -> None:
    with pytest.raises(ExportRefused):
        key_export.slots(export)
