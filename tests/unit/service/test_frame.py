"""The frame as a process with real pipes: every way a call can go wrong has its reply."""

import json
from pathlib import Path

import pytest

from qborg_service.answer import NO_NONCE
from qborg_service.qrexec import record_nonce
from qborg_wire.services import SERVICES
from unit.service.one_call import NONCE, ROW, encoded, failure, run, script, success


def test_a_good_call_gets_its_reply(tmp_path: Path) -> None:
    done = run(script(tmp_path, "return GOOD"), encoded())

    assert done.returncode == 0
    assert success(done.stdout)["qube"] == "work"


@pytest.mark.parametrize("argument", [None, ""], ids=["unset", "empty"])
def test_a_row_without_argument_takes_none(tmp_path: Path, argument: str | None) -> None:
    done = run(script(tmp_path, "return GOOD"), encoded(), argument=argument)

    assert done.returncode == 0


def test_the_handler_gets_what_was_asked(tmp_path: Path) -> None:
    body = 'assert call.text("host") == "backup.example" and call.caller == "dom0"; return GOOD'

    assert run(script(tmp_path, body), encoded()).returncode == 0


WRONG_CALLERS = ["", "work", "Dom0", "dom0 ", "dom0\n", "domain-0", "@adminvm"]


@pytest.mark.parametrize("caller", WRONG_CALLERS)
def test_a_wrong_caller_is_refused_before_anything_is_read(tmp_path: Path, caller: str) -> None:
    done = run(script(tmp_path, "return GOOD"), encoded(), caller=caller)

    assert done.returncode == 1
    assert failure(done.stdout, NO_NONCE).cause == "wrong-caller"


BAD_REQUESTS = {
    "empty": b"",
    "not-json": b"hello",
    "list": b"[]",
    "cut": encoded()[:-1],
    "two": encoded() + encoded(),
    "key-twice": encoded()[:-1] + b', "port": "22"}',
    "key-missing": json.dumps({"nonce": NONCE, "host": "a"}).encode(),
    "key-more": encoded(more="1"),
    "wrong-type": encoded(port=22),
    "null": encoded(host=None),
    "newline": encoded(host="a\n"),
    "option": encoded(host="-oProxyCommand=x"),
    "not-utf-8": encoded().replace(b"backup", b"back\xff"),
    "nul": encoded(host="a\0b"),
    "deep": b"[" * 4000,
    "nonce-short": encoded(nonce="ab"),
    "long": encoded(host="a" * 5000),
}


@pytest.mark.parametrize("request_bytes", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_bad_request_is_refused(tmp_path: Path, request_bytes: bytes) -> None:
    done = run(script(tmp_path, "return GOOD"), request_bytes)

    assert done.returncode == 1
    assert failure(done.stdout, NO_NONCE).cause == "bad-request"


def test_the_limit_is_exact(tmp_path: Path) -> None:
    argv = script(tmp_path, "return GOOD")
    at_limit = encoded() + b" " * (ROW.limit - len(encoded()))

    assert run(argv, at_limit).returncode == 0
    assert b"bad-request" in run(argv, at_limit + b" ").stdout


@pytest.mark.parametrize("argument", ["dom-work", "+", "x", "../x", "$(id)"])
def test_an_argument_where_none_belongs_is_refused(tmp_path: Path, argument: str | None) -> None:
    done = run(script(tmp_path, "return GOOD"), encoded(), argument=argument)

    assert failure(done.stdout).cause == "bad-request"


@pytest.mark.parametrize(
    "argument", [None, "", "work", "-work", "dom-", "dom-dom0", "dom-a/b", "dom-a\n", "DOM-a"]
)
def test_an_argument_that_is_no_repository_is_refused(tmp_path: Path, argument: str | None) -> None:
    argv = script(tmp_path, "return GOOD", argument=True)

    done = run(argv, encoded(), argument=argument)

    assert failure(done.stdout).cause == "bad-request"


def test_an_argument_that_is_a_repository_arrives(tmp_path: Path) -> None:
    body = 'assert call.named().url == "ssh://bakserver/./repos/dom-work.x"; return GOOD'

    done = run(script(tmp_path, body, argument=True), encoded(), argument="dom-work.x")

    assert done.returncode == 0


def test_a_qube_without_the_role_says_so(tmp_path: Path) -> None:
    # This machine is no qube: nothing switched a role on.
    done = run(script(tmp_path, "return GOOD", before_role=False), encoded())

    assert failure(done.stdout).cause == "not-this-role"


OS_ERRORS = {"full": ("ENOSPC", "no-space"), "quota": ("EDQUOT", "no-space"),
             "denied": ("EACCES", "internal")}  # fmt: skip


@pytest.mark.parametrize(("number", "cause"), OS_ERRORS.values(), ids=OS_ERRORS)
def test_a_full_disk_is_told_apart_from_a_fault(tmp_path: Path, number: str, cause: str) -> None:
    body = f'import errno; raise OSError(errno.{number}, "secret", "/secret")'

    done = run(script(tmp_path, body), encoded())

    assert failure(done.stdout).cause == cause
    assert b"secret" not in done.stdout + done.stderr


def test_print_and_a_child_cannot_reach_the_reply(tmp_path: Path) -> None:
    body = 'print("stray"); subprocess.run(["/bin/echo", "stray"]); os.write(1, b"x"); return GOOD'

    done = run(script(tmp_path, body), encoded())

    assert success(done.stdout)["qube"] == "work"
    assert done.stderr.count(b"stray") == 2


def test_the_handler_reads_no_more_of_the_request(tmp_path: Path) -> None:
    body = 'assert os.read(0, 1) == b""; return GOOD'

    assert run(script(tmp_path, body), encoded()).returncode == 0


def test_a_refusal_of_the_handler_keeps_its_cause_and_is_printable(tmp_path: Path) -> None:
    body = 'raise ServiceFailure("locked", "taken\\n\\x1b[2J" + "x" * 500)'

    done = run(script(tmp_path, body), encoded())

    told = failure(done.stdout)
    assert (done.returncode, told.cause) == (1, "locked")
    assert told.detail.startswith("taken__[2J")


FAULTS = {
    "exception": 'raise RuntimeError("hunter2")',
    "unknown-cause": 'raise ServiceFailure("hunter2", "x")',
    "value-missing": "del GOOD['qube']; return GOOD",
    "value-more": "return {**GOOD, 'hunter2': 'x'}",
    "value-outside": "return {**GOOD, 'cron': 'hunter2'}",
    "value-with-newline": "return {**GOOD, 'qube': 'work\\nhunter2=x'}",
    "nothing": "return None",
    "progress-of-a-row-without": 'call.progress(Progress("hunter", 1, 2)); return GOOD',
}


@pytest.mark.parametrize("body", FAULTS.values(), ids=FAULTS)
def test_a_fault_of_ours_tells_nothing_of_its_text(tmp_path: Path, body: str) -> None:
    done = run(script(tmp_path, body), encoded())

    told = failure(done.stdout)
    assert (done.returncode, told.cause) == (2, "internal")
    assert b"hunter" not in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


def test_a_record_arrives_untouched_and_its_digest_is_the_nonce(tmp_path: Path) -> None:
    record = b"\0not json\xff"
    body = f"assert call.record == {record!r} and not call.values; " \
        'return dict(bundle="ab" * 32, changed="no", aside="no")'
    argv = script(tmp_path, body, "InstallBundle", before_role=True)

    done = run(argv, record, caller="maintenance", argument="dom-work")

    values = success(done.stdout, SERVICES["InstallBundle"], record_nonce(record))
    assert values["changed"] == "no"


@pytest.mark.parametrize("caller", ["dom0", "", "@anyvm", "-x", "none"])
def test_a_row_between_qubes_is_not_for_dom0(tmp_path: Path, caller: str) -> None:
    argv = script(tmp_path, "return {}", "InstallBundle", before_role=True)

    done = run(argv, b"x", caller=caller, argument="dom-work")

    assert b"outcome=wrong-caller\n" in done.stdout
