"""The bundle: what is rendered is accepted, and nothing that differs from it anywhere."""

import hashlib
import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qborg_borg.bundle import (
    RECORD_LIMIT,
    BundleRefused,
    encode_bundle,
    match_bundle,
    skeletons,
)
from qborg_borg.key_export import KEYFILE
from qborg_borg.slots import SLOTS
from qborg_wire.names import Repository
from unit.borg.bundles import (
    HOST_KEY, KEY_SLOTS, PASSPHRASE, REPOSITORY, files, key_pair, record, values,
)

GOOD = record()
NAMES = {
    "bakserver", "borgmatic.yaml", "bak.crontab", "borgpass", "borgrepo", "known_hosts",
    "dom-work.openssh", "dom-work.openssh.pub",
}


def bent(change: Callable[[dict[str, object]], object]) -> bytes:
    """Answer the good record after one change to the object, in its one spelling."""
    value = json.loads(GOOD)
    change(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def with_file(name: str, edit: Callable[[str], str]) -> bytes:
    """Answer the good record with one file edited."""
    return bent(lambda value: value["files"].update({name: edit(value["files"][name])}))


def test_a_good_bundle_is_accepted_with_its_values() -> None:
    bundle = match_bundle(GOOD, "work")

    assert set(bundle.files) == NAMES
    assert (bundle.host, bundle.account, bundle.port) == ("ab1234.rsync.example", "ab1234", "22")
    assert (bundle.host_key, bundle.remote_borg) == (HOST_KEY, "borg14")
    assert bundle.passphrase.reveal() == PASSPHRASE.encode()
    assert bundle.public_key == key_pair()[1]
    assert bundle.digest == hashlib.sha256(GOOD).hexdigest()


def test_a_bundle_shows_no_secret() -> None:
    shown = repr(match_bundle(GOOD, "work"))

    assert "hunter2" not in shown
    assert key_pair()[0][:70] not in shown


def test_a_qube_whose_name_has_dots_and_dashes_gets_its_bundle() -> None:
    repository = Repository("dom", "a.openssh-b_c.d")
    slots = {**values(), "repository": str(repository), "qube": repository.qube}
    texts = {
        name: re.sub(r"\{\{ (\w+) \}\}", lambda slot: slots[slot[1]], text)
        for name, text in skeletons(repository).items()
    }
    whole = {**json.loads(GOOD), "files": texts, "qube": repository.qube,
             "repository": str(repository)}
    data = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()

    assert match_bundle(data, "a.openssh-b_c.d").repository == repository


RECORDS = {
    "empty": b"",
    "cut": GOOD[:-1],
    "cut-in-the-middle": GOOD[: len(GOOD) // 2],
    "one-more-byte": GOOD + b" ",
    "newline-after": GOOD + b"\n",
    "two": GOOD + GOOD,
    "byte-order-mark": b"\xef\xbb\xbf" + GOOD,
    "utf-16": GOOD.decode().encode("utf-16"),
    "not-utf-8": GOOD.replace(b"direct", b"dire\xff"),
    "nul": GOOD.replace(b"direct", b"dir\0ct"),
    "key-twice": GOOD[:-1] + b',"transport":"direct"}',
    "key-twice-other": b'{"destination":"other",' + GOOD[1:],
    "other-spelling": GOOD.replace(b'"format":1', b'"format": 1'),
    "escaped-letter": GOOD.replace(b"direct", b"\\u0064irect"),
    "deep": b"[" * 60000,
    "list": b"[]",
    "null": b"null",
    "too-long": GOOD[:-1] + b" " * RECORD_LIMIT + b"}",
    "format-2": bent(lambda value: value.update(format=2)),
    "format-text": bent(lambda value: value.update(format="1")),
    "format-true": bent(lambda value: value.update(format=True)),
    "format-float": bent(lambda value: value.update(format=1.0)),
    "other-destination": bent(lambda value: value.update(destination="second")),
    "other-transport": bent(lambda value: value.update(transport="relay")),
    "key-more": bent(lambda value: value.update(install="rm -rf ~")),
    "key-missing": bent(lambda value: value.pop("transport")),
    "other-qube": bent(lambda value: value.update(qube="vault")),
    "qube-null": bent(lambda value: value.update(qube=None)),
    "other-repository": bent(lambda value: value.update(repository="dom-vault")),
    "other-machine": bent(lambda value: value.update(repository="other-work")),
    "no-repository": bent(lambda value: value.update(repository="../work")),
    "repository-list": bent(lambda value: value.update(repository=["dom-work"])),
    "files-list": bent(lambda value: value.update(files=[])),
    "file-more": bent(lambda value: value["files"].update({"install.sh": "id"})),
    "file-missing": bent(lambda value: value["files"].pop("known_hosts")),
    "file-of-other-name": bent(lambda value: value["files"].update({"../x": "id"})),
    "file-null": bent(lambda value: value["files"].update(borgpass=None)),
    "file-too-long": with_file("bakserver", lambda text: text + "#" * 9000),
}


@pytest.mark.parametrize("untrusted_record", RECORDS.values(), ids=RECORDS)
def test_a_bent_record_is_refused_without_being_repeated(untrusted_record: bytes) -> None:
    with pytest.raises(BundleRefused) as caught:
        match_bundle(untrusted_record, "work")

    assert "hunter2" not in str(caught.value)


EDITS = {
    "proxy-command": ("bakserver", lambda text: text + "    ProxyCommand id\n"),
    "proxy-first": ("bakserver", lambda text: "ProxyCommand id\n" + text),
    "match-exec": ("bakserver", lambda text: text + 'Match exec "id"\n'),
    "local-command": ("bakserver", lambda text: text.replace("Command no", "Command yes")),
    "agent": ("bakserver", lambda text: text.replace("ForwardAgent no", "ForwardAgent yes")),
    "strict-off": ("bakserver", lambda text: text.replace("Checking yes", "Checking no")),
    "every-host": ("bakserver", lambda text: text.replace("Host bakserver", "Host *")),
    "line-missing": ("bakserver", lambda text: text.replace("    ForwardAgent no\n", "")),
    "crlf": ("bakserver", lambda text: text.replace("\n", "\r\n")),
    "no-final-newline": ("bakserver", lambda text: text[:-1]),
    "newline-more": ("bakserver", lambda text: text + "\n"),
    "tab": ("bakserver", lambda text: text.replace("    Port", "\tPort")),
    "nul": ("bakserver", lambda text: text + "\0"),
    "look-alike": ("bakserver", lambda text: text.replace("bakserver", "b\u0430kserver")),
    "surrogate": ("bakserver", lambda text: text + "\ud800"),
    "hook": ("borgmatic.yaml", lambda text: text + "before_backup:\n    - id\n"),
    "yaml-include": ("borgmatic.yaml", lambda text: text + "<<: !include /etc/passwd\n"),
    "ssh-command": ("borgmatic.yaml", lambda text: text.replace('"ssh ', '"sh -c id; ssh ')),
    "passcommand": ("borgmatic.yaml", lambda text: text.replace("cat /home", "id; cat /home")),
    "retention": ("borgmatic.yaml", lambda text: text + "keep_daily: 1\n"),
    "source": ("borgmatic.yaml", lambda text: text + "source_directories: [/]\n"),
    "cron-line": ("bak.crontab", lambda text: text + "* * * * * id\n"),
    "cron-shell": ("bak.crontab", lambda text: "SHELL=/tmp/x\n" + text),
    "cron-program": ("bak.crontab", lambda text: text.replace("/usr/bin/qborg-run", "/tmp/run")),
    "cron-option": ("bak.crontab", lambda text: text.replace("--scheduled", "--scheduled; id")),
    "second-host-key": ("known_hosts", lambda text: text + text),
    "authority": ("known_hosts", lambda text: "@cert-authority * " + text),
    "two-passphrases": ("borgpass", lambda text: text + text),
    "other-url": ("borgrepo", lambda text: text.replace("dom-work", "dom-vault")),
    "absolute-url": ("borgrepo", lambda text: text.replace("/./", "//")),
    "options-before-the-key": ("dom-work.openssh.pub", lambda text: 'command="id" ' + text),
    "encrypted-key": ("dom-work.openssh", lambda text: text.replace("bm9uZQ", "YWVzMjU", 1)),
    "two-keys": ("dom-work.openssh", lambda text: text + text),
    "empty-file": ("borgpass", lambda _text: ""),
}


@pytest.mark.parametrize(("name", "edit"), EDITS.values(), ids=EDITS)
def test_a_file_that_differs_from_its_skeleton_is_refused(
    name: str, edit: Callable[[str], str]
) -> None:
    edited = with_file(name, edit)
    assert edited != GOOD

    with pytest.raises(BundleRefused) as caught:
        match_bundle(edited, "work")

    assert "hunter2" not in str(caught.value)


VALUES = {
    "host-with-space": {"host": "a b"},
    "host-with-line": {"host": "a\n    ProxyCommand id"},
    "host-option": {"host": "-oProxyCommand"},
    "host-token": {"host": "%h"},
    "host-too-long": {"host": "a" * 254},
    "port-zero": {"port": "0"},
    "port-too-high": {"port": "65536"},
    "port-with-sign": {"port": "+22"},
    "account-with-space": {"account": "a b"},
    "account-root-option": {"account": "-l"},
    "borg-with-argument": {"remote_borg": "borg14 --x"},
    "borg-path": {"remote_borg": "/tmp/borg"},
    "borg-quote": {"remote_borg": 'borg"'},
    "passphrase-empty": {"passphrase": ""},
    "passphrase-long": {"passphrase": "x" * 201},
    "passphrase-blank-first": {"passphrase": " x"},
    "passphrase-blank-last": {"passphrase": "x "},
    "passphrase-not-ascii": {"passphrase": "x\u00e9"},
    "passphrase-tab": {"passphrase": "x\ty"},
    "passphrase-with-newline": {"passphrase": "x" * 42 + "\n"},
    "minute-60": {"minute": "60"},
    "minute-all": {"minute": "*"},
    "minute-list": {"minute": "1,2"},
    "host-key-type": {"host_key": HOST_KEY.replace("ssh-ed25519", "ssh-dss")},
    "host-key-certificate": {"host_key": "ssh-ed25519-cert-v01@openssh.com AAAA"},
    "public-key-rsa-short": {"public_key": "ssh-rsa AAAAB3NzaC1yc2EA" + "A" * 200},
    "public-key-rsa-long": {"public_key": "ssh-rsa AAAAB3NzaC1yc2EA" + "A" * 724},
    "public-key-comment": {"public_key": HOST_KEY + " x"},
    "private-key-outside": {"private_key": "-----BEGIN-----"},
    "other-qube": {"qube": "vault"},
    "other-repository": {"repository": "dom-vault"},
}


@pytest.mark.parametrize("changes", VALUES.values(), ids=VALUES)
def test_a_value_outside_its_slot_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(BundleRefused):
        match_bundle(record(**changes), "work")


@pytest.mark.parametrize("passphrase", ["x", 'my "pass" & $(phrase) %d {{ x }}', "~" * 200])
def test_a_passphrase_may_be_what_a_person_once_typed(passphrase: str) -> None:
    bundle = match_bundle(record(passphrase=passphrase), "work")

    assert bundle.passphrase.reveal() == passphrase.encode()


@pytest.mark.parametrize("port", ["1", "22", "9999", "10000", "59999", "60000", "65499", "65535"])
def test_every_real_port_will_do(port: str) -> None:
    assert match_bundle(record(port=port), "work").port == port


def test_one_slot_has_one_value_in_the_whole_bundle() -> None:
    mixed = with_file("bak.crontab", lambda text: text.replace("for work", "for vault"))

    with pytest.raises(BundleRefused):
        match_bundle(mixed, "work")


def test_a_whole_bundle_of_another_qube_is_refused_by_its_repository() -> None:
    repository = Repository("dom", "other")
    slots = {**values(), "repository": str(repository), "qube": repository.qube}
    texts = {
        name: re.sub(r"\{\{ (\w+) \}\}", lambda slot: slots[slot[1]], text)
        for name, text in skeletons(repository).items()
    }
    whole = encode_bundle(repository, texts)
    assert match_bundle(whole, "other").repository == repository

    # All but the name of the receiver speaks of another qube's repository.
    with pytest.raises(BundleRefused, match="the repository is another qube's"):
        match_bundle(whole.replace(b'"qube":"other"', b'"qube":"work"', 1), "work")


def test_a_bundle_for_this_qube_is_refused_elsewhere() -> None:
    for other in ("Work", "work2", "wor", "disp1234", ""):
        with pytest.raises(BundleRefused):
            match_bundle(GOOD, other)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_byte_can_be_changed_unnoticed(place: int, difference: int) -> None:
    changed = bytearray(GOOD)
    changed[place] ^= difference
    try:
        bundle = match_bundle(bytes(changed), "work")
    except BundleRefused:
        return

    # Inside a slot another good value is another good bundle; the digest tells them apart.
    assert bundle.digest == hashlib.sha256(changed).hexdigest() != hashlib.sha256(GOOD).hexdigest()


def test_every_slot_is_known_and_used() -> None:
    used = {slot for text in skeletons(REPOSITORY, KEYFILE).values()
            for slot in re.findall(r"\{\{ ([a-z_]+) \}\}", text)}

    assert used == set(SLOTS)


@pytest.mark.parametrize("slot", SLOTS)
def test_a_slot_captures_nothing_itself(slot: str) -> None:
    assert SLOTS[slot].groups == 0
    good = {**values(), **KEY_SLOTS}[slot]
    assert SLOTS[slot].fullmatch(good)
    assert SLOTS[slot].fullmatch(good + "\n") is None


def test_skeletons_are_plain_text_with_slots_only() -> None:
    for name, text in skeletons(REPOSITORY, KEYFILE).items():
        rest = re.sub(r"\{\{ [a-z_]+ \}\}", "", text)
        assert text.isascii()
        assert text.endswith("\n")
        assert not re.search(r"\{\{|\}\}|\{%|\{#", rest), name


def test_the_files_are_those_of_the_bundle() -> None:
    assert set(files()) == NAMES
