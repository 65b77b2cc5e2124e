"""dom0's reply reader: a whole call, with a qube at the far end that may say anything.

The far end is a pair of sockets in this process: it learns the nonce from the request, as a qube
does, and answers in pieces whose sizes belong to the input.
"""

import json
import os
import socket

from fuzz.target import Shape, Target, Vocabulary, one_line
from fuzz.targets import reply, rows, samples
from qborg_service import answer
from qborg_wire import reply as wire
from qborg_wire.causes import CAUSES
from qborg_wire.names import Repository
from qborg_wire.reply import Failure, Progress
from qborg_wire.row import Service
from qvm_borg import errors, flow, remote, telling
from qvm_borg.errors import QvmBorgError

_REPOSITORY = Repository("dom", "work")
_STATUSES = (0, 1, 2, 125, 126, 127, 255, 137)
_PIECES = (4096, 1024, 200, 41, 17, 9)
_NO_REPLY = (
    "its qrexec agent could not run the service", "it refused the call", "it did not answer",
    "it does not have the service", "it went away during the call",
)
_SAID = Vocabulary(remote, wire)
_OUTSIDE = "work: {} answered outside the contract: "


class _Stream:
    """One end of a pipe as a process object holds it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Answer the descriptor."""
        return self._descriptor

    def close(self) -> None:
        """Close it; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Request(_Stream):
    """The far end's stdin: when it is closed, the far end answers."""

    def __init__(self, far: "_FarEnd", descriptor: int) -> None:
        super().__init__(descriptor)
        self._far = far

    def close(self) -> None:
        """Close it, and have the request answered."""
        if self._descriptor >= 0:
            super().close()
            self._far.answer()


class _FarEnd:
    """A service's process, and the qube that it runs in."""

    name = "work"

    def __init__(self, untrusted: bytes, piece: int, status: int) -> None:
        self._untrusted, self._piece, self.returncode = untrusted, piece, status
        self._request, sink = os.pipe()
        source, self._reply = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._reply.setblocking(False)
        self.stdin, self.stdout = _Request(self, sink), _Stream(source.detach())
        self.nonce, self.sent = b"", b""

    def run_service(self, _service: str, _user: str | None) -> "_FarEnd":
        """Be the process too."""
        return self

    def answer(self) -> None:
        """Read the request and send the whole answer, as much as the kernel keeps for us."""
        request = os.read(self._request, 1 << 16)
        os.close(self._request)
        self.nonce = json.loads(request)["nonce"].encode("ascii") if request else b""
        untrusted = self._untrusted.replace(samples.NONCE.encode(), self.nonce)
        with self._reply:
            for start in range(0, len(untrusted), self._piece):
                try:
                    self._reply.send(untrusted[start : start + self._piece])
                except OSError:
                    return
                self.sent += untrusted[start : start + self._piece]

    def kill(self) -> None:
        """Be gone already."""

    def wait(self, _seconds: float | None = None) -> int:
        """Answer the exit status."""
        return self.returncode


def one(data: bytes) -> str:
    """Hold a whole call to its contract; three bytes choose row, size of pieces, exit status."""
    row_byte, piece, status = data[:3].ljust(3, b"\0")
    row = rows.row_of(row_byte)
    far = _FarEnd(data[3:], _PIECES[piece % len(_PIECES)], _STATUSES[status % len(_STATUSES)])
    told: list[Progress] = []
    repository = _REPOSITORY if row.argument else None
    try:
        (found,) = flow.together(remote.calling(
            far, row, repository, rows.good_request(row), told.append,  # type: ignore[arg-type]
        ))  # fmt: skip
    except QvmBorgError as error:
        return f"{row.name}: {_refusal(error, row, far, told)}"
    assert row.idle or not told
    lines = b"".join(progress.encode() for progress in told)
    assert lines + answer.format_reply(row, far.nonce.decode(), found) == far.sent
    return f"{row.name}: accepted, {'some' if told else 'no'} progress"


def _refusal(error: QvmBorgError, row: Service, far: _FarEnd, told: list[Progress]) -> str:
    assert one_line(error.message, 400) and one_line(error.hint, 400)
    outside = _OUTSIDE.format(row.name)
    if error.message.startswith(outside):
        assert type(error) is errors.WireError
        return _SAID.told(error.message.removeprefix(outside))
    lines = b"".join(progress.encode() for progress in told)
    rest = far.sent.removeprefix(lines)
    assert far.sent.startswith(lines)
    if not rest:
        said = error.message.removeprefix("work: ").removesuffix(f" ({row.name})")
        assert said in _NO_REPLY
        return said
    failure = wire.parse_reply(row, far.nonce.decode(), rest)
    assert isinstance(failure, Failure) and failure.cause in CAUSES
    assert answer.format_failure(far.nonce.decode(), failure) == rest
    assert error.message == telling.from_failure("work", failure.cause, failure.detail).message
    return f"failure, {type(error).__name__}"


def _seeds() -> tuple[bytes, ...]:
    replies = [seed[:1] + b"\0\0" + seed[1:] for seed in (*reply.GOOD, *reply.FAILURES)]
    long = [
        seed[:1] + bytes([piece, 0]) + reply.PROGRESS * count + seed[1:]
        for seed in reply.GOOD if rows.row_of(seed[0]).idle
        for piece, count in enumerate((1, 3, 20, 99))
    ]  # fmt: skip
    return (*replies, *long, b"\0\0\3", b"\0\0\0")


TARGET = Target("call", one, _seeds(), reply.WORDS, Shape.LINES, 65536, head=3)
