"""An evil maintenance qube: whatever it sends, the client takes a good bundle or changes nothing.

dom0's gate is open as during an enrolment, so nothing but the receiver stands in its way.
"""

import copy
from collections.abc import Callable

import pytest

from lab import Lab
from scenarios import attacker, attempts, state
from scenarios.attacker import KEY, VICTIM, Record, reply_to, sends, spelled

MARK = "/tmp/it-was-run"
LIMIT = 65536
FILED = f"BORG_KEY {'1' * 64}\n{'A' * 76}\nAAAA=\n"

Bend = Callable[[Record], bytes]


def _text(name: str, old: str, new: str) -> Bend:
    """Bend one text of the bundle; a row whose OLD is not there would test nothing."""

    def bend(record: Record) -> bytes:
        assert old in record["files"][name], name
        record["files"][name] = record["files"][name].replace(old, new, 1)
        return spelled(record)

    return bend


def _add(name: str, line: str) -> Bend:
    def bend(record: Record) -> bytes:
        record["files"][name] += line
        return spelled(record)

    return bend


def _set(key: str, value: object) -> Bend:
    return lambda record: spelled({**record, key: value})


def _whole(name: str, content: object) -> Bend:
    return lambda record: spelled({**record, "files": {**record["files"], name: content}})


def _bytes(change: Callable[[bytes], bytes]) -> Bend:
    return lambda record: change(spelled(record))


def _without(name: str) -> Bend:
    def bend(record: Record) -> bytes:
        del record["files"][name]
        return spelled(record)

    return bend


def _filed(key: str, keys: str = "/home/user/.ssh/backups") -> Bend:
    """Bend a bundle to one whose repository has its key in a file; an empty text is left out."""

    def bend(record: Record) -> bytes:
        if key:
            record["files"]["borgkey"] = key
        if not keys:
            return spelled(record)
        line = f'borg_keys_directory: "{keys}"\narchive_name_format'
        return _text("borgmatic.yaml", "archive_name_format", line)(record)

    return bend


def _for_another(record: Record) -> bytes:
    """Answer a bundle that is consistent in itself, for personal."""
    return spelled(record).replace(b"qubes-work", b"qubes-personal").replace(
        b'"qube":"work"', b'"qube":"personal"').replace(b"for work", b"for personal").replace(
        b'"work-{', b'"personal-{')


def _for_another_machine(record: Record) -> bytes:
    return spelled(record).replace(b"qubes-work", b"other-work")


BENT: dict[str, Bend] = {
    "empty": lambda record: b"",
    "cut-after-one-byte": _bytes(lambda data: data[:1]),
    "cut-in-the-middle": _bytes(lambda data: data[: len(data) // 2]),
    "cut-before-the-last-byte": _bytes(lambda data: data[:-1]),
    "a-newline-after-it": _bytes(lambda data: data + b"\n"),
    "twice": _bytes(lambda data: data + data),
    "for-another-qube": _for_another,
    "for-another-machine": _for_another_machine,
    "qube-of-another": _set("qube", "personal"),
    "repository-of-another": _set("repository", "qubes-personal"),
    "repository-climbs": _set("repository", "qubes-../work"),
    "format-2": _set("format", 2),
    "format-true": _set("format", True),
    "format-1.0": _set("format", 1.0),
    "another-destination": _set("destination", "second"),
    "transport-relay": _set("transport", "relay"),
    "another-key": _set("install", "sh"),
    "files-is-a-list": _set("files", []),
    "unknown-file": _whole("install.sh", f"#!/bin/sh\ntouch {MARK}\n"),
    "climbing-file": _whole("../authorized_keys", "ssh-ed25519 AAAA evil\n"),
    "climbing-far": _whole("../../.bashrc", f"touch {MARK}\n"),
    "absolute-file": _whole("/home/user/.bashrc", f"touch {MARK}\n"),
    "file-in-a-folder": _whole("d/borgpass", "x\n"),
    "file-without-name": _whole("", "x\n"),
    "missing-borgpass": _without("borgpass"),
    "missing-key": _without(KEY),
    "file-is-a-number": _whole("borgpass", 7),
    "file-is-null": _whole("borgpass", None),
    "file-too-long": _whole("borgpass", "x" * 9000 + "\n"),
    "hook": _add("borgmatic.yaml", f"before_backup:\n    - touch {MARK}\n"),
    "commands": _add("borgmatic.yaml", f"commands: [{{before: action, run: [touch {MARK}]}}]\n"),
    "include": _add("borgmatic.yaml", "<<: !include /tmp/evil.yaml\n"),
    "ssh-command": _text("borgmatic.yaml", '"ssh ', f'"ssh -oProxyCommand=touch\\ {MARK} '),
    "passcommand": _text("borgmatic.yaml", '"cat /home', f'"touch {MARK}; cat /home'),
    "remote-borg-with-a-shell": _text("borgmatic.yaml", '"borg14"', '"borg14; sh"'),
    "remote-path": _text("borgmatic.yaml", '"borg14"', '"../evil"'),
    "local-path": _add("borgmatic.yaml", 'local_path: "/tmp/evil"\n'),
    "proxy-command": _add("bakserver", f"    ProxyCommand touch {MARK}\n"),
    "local-command": _text("bakserver", "PermitLocalCommand no",
                           f"PermitLocalCommand yes\n    LocalCommand touch {MARK}"),
    "match-exec": _add("bakserver", f"Match exec \"touch {MARK}\"\n"),
    "host-of-all": _text("bakserver", "Host bakserver", "Host *"),
    "host-option": _text("bakserver", "HostName ", f"HostName -oProxyCommand=touch{MARK}"),
    "key-elsewhere": _text("bakserver", "~/.ssh/backups/", "~/.ssh/"),
    "port-too-high": _text("bakserver", "Port 22", "Port 65536"),
    "no-host-key-check": _text("bakserver", "HostKeyChecking yes", "HostKeyChecking no"),
    "indented-by-a-tab": _text("bakserver", "    User", "\tUser"),
    "crontab-line": _add("bak.crontab", f"* * * * * touch {MARK}\n"),
    "crontab-reboot": _add("bak.crontab", f"@reboot touch {MARK}\n"),
    "crontab-mailto": _text("bak.crontab", "# Made", 'SHELL="/tmp/evil"\n# Made'),
    "crontab-command": _text("bak.crontab", "--scheduled", f"--scheduled; touch {MARK}"),
    "crontab-minute": _text("bak.crontab", " * * * * /", " * * * * touch /"),
    "passphrase-tab": _whole("borgpass", "\ttouch\t/tmp/it-was-run\n"),
    "passphrase-too-long": _whole("borgpass", "x" * 201 + "\n"),
    "passphrase-two-lines": _add("borgpass", "second\n"),
    "passphrase-empty": _whole("borgpass", "\n"),
    "passphrase-no-newline": lambda record: _whole(
        "borgpass", record["files"]["borgpass"].strip())(record),
    "url-of-another": _text("borgrepo", "qubes-work", "qubes-personal"),
    "url-with-a-command": _text("borgrepo", "ssh://", "ext://"),
    "known-hosts-authority": _text("known_hosts", "bakserver", "@cert-authority bakserver"),
    "known-hosts-line": _add("known_hosts", "* ssh-ed25519 AAAA\n"),
    "public-key-options": _text(f"{KEY}.pub", "ssh-", 'command="touch" ssh-'),
    "private-key-is-another-file": _whole(KEY, "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n"),
    "key-file-in-no-configuration": _filed(FILED, ""),
    "keys-directory-without-a-key-file": _filed(""),
    "keys-directory-elsewhere": _filed(FILED, "/tmp/evil"),
    "key-file-is-a-script": _filed(f"#!/bin/sh\ntouch {MARK}\n"),
    "key-file-without-its-id": _filed(FILED.replace("1" * 64, "")),
    "key-file-of-two-keys": _filed(FILED * 2),
    "key-file-no-newline": _filed(FILED[:-1]),
    "key-file-no-base64": _filed(FILED.replace("AAAA=", "!{}:=")),
    "key-file-too-long": _filed(FILED + f"{'A' * 76}\n" * 110),
    "crlf": lambda record: _whole("bakserver", record["files"]["bakserver"].replace(
        "\n", "\r\n"))(record),
    "crlf-in-the-passphrase": lambda record: _whole("borgpass", record["files"]["borgpass"].replace(
        "\n", "\r\n"))(record),
    "nul": _text("bakserver", "BatchMode yes", "BatchMode yes\0"),
    "nul-byte": _bytes(lambda data: data.replace(b"BatchMode", b"\0atchMode")),
    "escape-sequence": _text("bakserver", "BatchMode yes", "BatchMode yes\x1b[2J"),
    "line-separator": _text("bakserver", "\n    BatchMode", "\u2028    BatchMode"),
    "fullwidth-digit": _text("bakserver", "Port 22", "Port \uff12\uff12"),
    "not-json": lambda record: b"borgpass = 'x'\n",
    "not-an-object": lambda record: b"[1]",
    "deep": lambda record: b"[" * 60000,
    "not-utf-8": _bytes(lambda data: data.replace(b"main", b"m\xe4in")),
    "utf-8-beyond-ascii": _bytes(lambda data: data.replace(b"main", "m\u00e4in".encode())),
    "utf-16": _bytes(lambda data: data.decode("ascii").encode("utf-16")),
    "byte-order-mark": _bytes(lambda data: b"\xef\xbb\xbf" + data),
    "key-twice": _bytes(lambda data: data.replace(b'{"bak', b'{"borgpass":"x","bak', 1)),
    "format-twice": _bytes(lambda data: data.replace(b'"format":1', b'"format":1,"format":1')),
    "spaces": _bytes(lambda data: data.replace(b'"format":1', b'"format": 1')),
    "another-order": _bytes(lambda data: b'{"format":1,' + data[1:].replace(b'"format":1,', b"")),
    "escaped": _bytes(lambda data: data.replace(b'"format"', b'"\\u0066ormat"')),
}  # fmt: skip
ATTEMPTS = attempts.named(
    "deliver a bundle", "refused with the reason, nothing changed",
    (*BENT, "private-half-of-another-pair", "public-half-of-another-pair"))  # fmt: skip


@pytest.mark.parametrize("bend", BENT.values(), ids=BENT)
def test_a_bent_record_is_refused_and_nothing_changes(steady: Lab, bend: Bend) -> None:
    good = attacker.record_of(steady)
    data, before = bend(copy.deepcopy(good)), state.files(steady, VICTIM, "/rw", "/tmp")
    assert data != spelled(good)

    code, reply = sends(steady, data)

    assert code == 1
    assert reply.startswith(reply_to(data, "bundle-refused") + "detail=")
    assert good["files"]["borgpass"].strip() not in reply and MARK not in reply
    assert state.files(steady, VICTIM, "/rw", "/tmp") == before


@pytest.mark.parametrize("half", [0, 1], ids=["private-half", "public-half"])
def test_half_of_another_key_pair_is_refused(steady: Lab, half: int) -> None:
    record, name = attacker.record_of(steady), (KEY, f"{KEY}.pub")[half]
    record["files"][name] = attacker.other_pair(steady)[half]
    before = state.files(steady, VICTIM, "/rw", "/tmp")

    code, reply = sends(steady, spelled(record))

    assert code == 1 and "outcome=bundle-refused\n" in reply and "no pair" in reply
    assert state.files(steady, VICTIM, "/rw", "/tmp") == before


def test_a_record_beyond_the_limit_is_not_even_read(steady: Lab) -> None:
    before, data = state.files(steady, VICTIM, "/rw", "/tmp"), b" " * (LIMIT + 1)

    code, reply = sends(steady, data + b" " * 5_000_000)

    assert code == 1 and "outcome=bad-request\n" in reply and "too long" in reply
    assert state.files(steady, VICTIM, "/rw", "/tmp") == before


def test_a_record_of_just_the_limit_is_read_and_refused(steady: Lab) -> None:
    before, data = state.files(steady, VICTIM, "/rw", "/tmp"), b" " * LIMIT

    code, reply = sends(steady, data)

    assert code == 1 and reply.startswith(reply_to(data, "bundle-refused"))
    assert state.files(steady, VICTIM, "/rw", "/tmp") == before


# What a person once typed may be anything printable: it is data for borg alone.
@pytest.mark.parametrize("passphrase", [
    f"$(touch {MARK})`touch {MARK}`", f"';touch {MARK};'\";touch {MARK};\"", f"x\\ntouch {MARK}",
], ids=["shell", "quotes", "backslash"])  # fmt: skip
def test_a_passphrase_that_looks_like_code_is_never_run(enrolled: Lab, passphrase: str) -> None:
    record = attacker.record_of(enrolled)
    record["files"]["borgpass"] = f"{passphrase}\n"

    code, _reply = sends(enrolled, spelled(record))
    ended = enrolled.exec(VICTIM, ["qborg-run"])

    assert (code, ended.returncode) == (0, 1)
    assert b"error: wrong-passphrase" in ended.stderr and passphrase.encode() not in ended.stderr
    assert enrolled.exec(VICTIM, ["ls", MARK]).returncode != 0
