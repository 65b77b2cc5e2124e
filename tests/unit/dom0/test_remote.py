"""Calls into qubes that lie: real processes that say too much, too little, too long, too late."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import IO

import pytest

from qborg_wire.names import Repository
from qborg_wire.reply import Progress
from qborg_wire.row import Service
from qborg_wire.services import SERVICES
from qvm_borg import errors, remote
from unit.dom0.liar import __file__ as LIAR
from unit.dom0.machine import Actions, answer, failure, once

ROW = SERVICES["StartSchedule"]
LONG = dataclasses.replace(SERVICES["RunBackup"], request=())
QUICK = dataclasses.replace(ROW, seconds=1)
QUICK_LONG = dataclasses.replace(LONG, seconds=1)
REPOSITORY = Repository("qubes", "work")
GOOD = answer(cron="running")
BACKUP = {"archive": "work-1", "files": "1", "bytes": "2", "sent": "3", "warnings": "0",
          "proof": "f" * 64}
ESCAPES = "\x1b]0;pwned\x07\x1b[2J"


class Liar:
    """A qube whose every service is one liar; remembers the call and the process."""

    name = "work"

    def __init__(self, actions: Actions) -> None:
        self.actions = actions
        self.asked: tuple[str, str | None] = ("", None)
        self.process: subprocess.Popen[bytes]

    def run_service(self, service: str, user: str | None) -> "subprocess.Popen[bytes]":
        """Start the liar as the far end."""
        self.asked = (service, user)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", LIAR, json.dumps(self.actions)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return self.process


def call(liar: Liar, row: Service = ROW, told: list[Progress] | None = None) -> dict[str, str]:
    """Call the liar by a row."""
    on_progress = [].append if told is None else told.append
    repository = REPOSITORY if row.argument else None
    return once(liar, row, repository, {}, on_progress)  # type: ignore[arg-type]


def closed(stream: IO[bytes] | None) -> bool:
    """Answer whether a pipe is closed."""
    return stream is not None and stream.closed


def test_an_honest_reply_is_answered() -> None:
    liar = Liar(GOOD)

    assert call(liar) == {"cron": "running"}
    assert liar.asked == ("qborg.StartSchedule+", "root")


def test_the_repository_is_the_argument() -> None:
    liar = Liar(answer(**BACKUP))

    assert call(liar, LONG) == BACKUP
    assert liar.asked == ("qborg.RunBackup+qubes-work", None)


@pytest.mark.parametrize("status", [1, 2, 126, 127, 255])
def test_a_good_reply_counts_whatever_the_exit_status(status: int) -> None:
    assert call(Liar([*GOOD, ["exit", status]])) == {"cron": "running"}


def test_progress_is_told_and_not_part_of_the_reply() -> None:
    told: list[Progress] = []
    line = "progress=create 3 4096\n"
    actions = [["read"], ["write", line * 2], *answer(**BACKUP)[1:]]

    assert call(Liar(actions), LONG, told) == BACKUP
    assert told == [Progress("create", 3, 4096)] * 2


def lies() -> Iterator[object]:
    """Answer what a far end may do instead of answering."""
    good = "nonce=@NONCE@\noutcome=ok\ncron=running\n"
    texts = {
        "another nonce": good.replace("@NONCE@", "0" * 32),
        "no nonce": good.partition("\n")[2],
        "cut": good[:-1],
        "cut in a value": good[:-4],
        "padded": good + "\n",
        "twice": good + good,
        "more keys": good + "extra=1\n",
        "escapes in a value": good.replace("running", ESCAPES),
        "escapes before": ESCAPES + good,
        "escapes in a detail": "nonce=@NONCE@\noutcome=internal\ndetail=" + ESCAPES + "\n",
        "an unknown cause": "nonce=@NONCE@\noutcome=sorry\ndetail=-\n",
        "a long detail": "nonce=@NONCE@\noutcome=internal\ndetail=" + "x" * 121 + "\n",
        "nul": good + "\0",
        "carriage returns": good.replace("\n", "\r\n"),
        "not ascii": good.replace("running", "runn\xefng"),
        "a value outside": good.replace("running", "walking"),
        "progress where none is agreed": "progress=create 1 1\n" + good,
        "256 bytes and one": good + "x" * 256,
        "only a newline": "\n",
    }
    for name, text in texts.items():
        yield pytest.param([["read"], ["write", text]], id=name)
    yield pytest.param([["flood", "x"]], id="endless")
    yield pytest.param([["read"], ["flood", good]], id="endless replies")
    yield pytest.param([["flood", "\n"]], id="endless lines")


@pytest.mark.parametrize("actions", list(lies()))
def test_a_lie_is_a_wire_error_that_repeats_nothing(
    actions: Actions, capfd: pytest.CaptureFixture[str]
) -> None:
    liar = Liar(actions)

    with pytest.raises(errors.WireError) as caught:
        call(liar)

    assert caught.value.exit_code == 8
    assert caught.value.message.startswith("work: StartSchedule answered outside the contract: ")
    assert caught.value.message.isprintable() and "pwned" not in caught.value.message
    assert capfd.readouterr() == ("", "")
    assert liar.process.returncode is not None


@pytest.mark.parametrize("text", [
    "progress=" + "x" * 300, "progress=create 1\n", "progress=create -1 2\n",
    "progress=create 1 2 3\n", "progress=CREATE 1 2\n", "progress=" + ESCAPES + " 1 2\n",
    "progress=create 1 " + "9" * 16 + "\n", "progress=create 01 2\n",
], ids=lambda text: repr(text)[:30])
def test_a_bent_progress_line_is_a_wire_error(text: str) -> None:
    told: list[Progress] = []

    with pytest.raises(errors.WireError):
        call(Liar([["read"], ["write", text], *answer(**BACKUP)[1:]]), LONG, told)

    assert told == []


def test_endless_progress_ends() -> None:
    told: list[Progress] = []

    with pytest.raises(errors.WireError, match="more progress than agreed"):
        call(Liar([["read"], ["flood", "progress=create 1 1\n"]]), LONG, told)

    assert len(told) <= remote.BURST + 100


def test_progress_after_the_reply_began_is_refused() -> None:
    reply = str(answer(**BACKUP)[1][1])

    with pytest.raises(errors.WireError):
        call(Liar([["read"], ["write", reply + "progress=create 1 1\n"]]), LONG)


@pytest.mark.parametrize("actions", [
    [["read"], ["sleep", 60]],
    [["sleep", 60]],
    [["read"], ["write", "nonce=@NONCE@\n"], ["sleep", 60]],
    [["read"], ["drip", "x", 100, 0.1]],
    [*GOOD, ["sleep", 60]],
], ids=["silent", "deaf", "half", "dripping", "does not hang up"])
def test_who_does_not_finish_in_time_is_killed(actions: Actions) -> None:
    liar, start = Liar(actions), time.monotonic()

    with pytest.raises(errors.ServiceTimeout):
        call(liar, QUICK)

    assert time.monotonic() - start < 40
    assert liar.process.returncode is not None


def test_progress_prolongs_a_long_call_but_silence_ends_it() -> None:
    told: list[Progress] = []
    alive = ["drip", "progress=create 1 1\n", 4, 0.5]

    assert call(Liar([["read"], alive, *answer(**BACKUP)[1:]]), QUICK_LONG, told) == BACKUP
    assert len(told) == 4
    with pytest.raises(errors.ServiceTimeout):
        call(Liar([["read"], alive, ["sleep", 60]]), QUICK_LONG)


def test_a_bound_holds_even_for_a_call_that_always_tells_progress(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "LONGEST", 1.0)

    with pytest.raises(errors.ServiceTimeout):
        call(Liar([["read"], ["drip", "progress=create 1 1\n", 1000, 0.2]]), LONG)


def test_who_ends_its_stream_but_not_itself_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_EXIT", 0.2)
    liar = Liar([*GOOD, ["close"], ["sleep", 60]])

    assert call(liar) == {"cron": "running"}
    assert liar.process.returncode == -9


def test_noise_on_stderr_is_never_read(capfd: pytest.CaptureFixture[str]) -> None:
    assert call(Liar([["noise", 5_000_000], *GOOD])) == {"cron": "running"}
    assert capfd.readouterr() == ("", "")


def test_a_callee_that_does_not_read_the_request_may_still_answer() -> None:
    row = SERVICES["RestoreFiles"]
    values = {"archive": "latest", "paths": ["/x" * 2000] * 15, "directory": "/y", "home": "aside"}
    liar = Liar(failure("not-this-role"))
    liar.actions[0] = ["sleep", 0]

    with pytest.raises(errors.WireError, match="not an answer to this request"):
        once(liar, row, REPOSITORY, values, print)  # type: ignore[arg-type]


def test_a_large_request_arrives_whole() -> None:
    row = SERVICES["RestoreFiles"]
    values = {"archive": "latest", "paths": ["/x" * 2000] * 15, "directory": "/y", "home": "aside"}
    reply = {"archive": "work-1", "files": "1", "bytes": "2", "warnings": "0"}

    assert once(
        Liar(answer(**reply)), row, REPOSITORY, values, print) == reply  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "kind"), [
    (0, errors.WireError), (1, errors.WireError), (125, errors.QubeUnavailable),
    (126, errors.QubeUnavailable), (127, errors.ServiceMissing), (255, errors.QubeUnavailable),
])
def test_no_reply_at_all_is_told_by_its_status(
    status: int, kind: type[errors.QvmBorgError]
) -> None:
    with pytest.raises(errors.QvmBorgError) as caught:
        call(Liar([["read"], ["exit", status]]))

    assert type(caught.value) is kind
    assert caught.value.message.startswith("work: ") and "StartSchedule" in caught.value.message


def test_a_failure_becomes_the_error_of_its_cause() -> None:
    with pytest.raises(errors.ServerFull, match=r"work: the server's disk is full \(No space\)"):
        call(Liar(failure("server-full", "No space")))


@pytest.mark.parametrize("actions", [GOOD, [["read"], ["sleep", 60]], [["flood", "x"]]])
def test_no_process_and_no_pipe_outlives_a_call(actions: Actions) -> None:
    liar = Liar(actions)

    try:
        call(liar, QUICK)
    except errors.QvmBorgError:
        pass

    assert liar.process.returncode is not None
    assert closed(liar.process.stdout) and closed(liar.process.stdin)


def test_an_interrupt_kills_the_process() -> None:
    liar = Liar([["read"], ["write", "progress=create 1 1\n"], ["sleep", 60]])

    def interrupt(_progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once(liar, LONG, REPOSITORY, {}, interrupt)  # type: ignore[arg-type]

    assert liar.process.returncode == -9


@pytest.mark.parametrize("repository", [
    Repository("qubes", "work dom0"), Repository("qubes", "x;y"), Repository("A", "work"),
    Repository("qubes", ""), None,
], ids=str)
def test_nothing_unchecked_becomes_part_of_a_command(repository: Repository | None) -> None:
    liar = Liar(GOOD)

    with pytest.raises(ValueError):
        once(liar, LONG, repository, {}, print)  # type: ignore[arg-type]

    assert liar.asked == ("", None)


def test_what_the_service_would_refuse_is_not_sent() -> None:
    values = {"archive": "latest", "paths": ["/a\nb"], "directory": "/y", "home": "aside"}
    liar = Liar(GOOD)

    with pytest.raises(errors.QvmBorgError, match="cannot be asked this"):
        once(liar, SERVICES["RestoreFiles"], REPOSITORY, values, print)  # type: ignore[arg-type]

    assert liar.asked == ("", None)
