"""The calls that dom0 makes into qubes; the only module that holds bytes from one.

Runs in dom0. What a qube sends is bounded in size, time and rate before it is looked at, and
parsed whole by qborg_wire; nothing else of it leaves this module, its stderr not even enters.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from subprocess import TimeoutExpired
from typing import Any

from qborg_wire.names import Repository, parse_repository
from qborg_wire.reply import PROGRESS_LIMIT, PROGRESS_RATE, Failure, Progress, ReplyRefused
from qborg_wire.reply import parse_progress, parse_reply
from qborg_wire.request import RequestRefused, Values, format_request
from qborg_wire.row import Service
from qvm_borg.flow import Flow, now
from qvm_borg.qubes import Qube
from qvm_borg.telling import from_failure, from_status, refusal

SLACK = 1.25  # of the row's seconds, so that a service in time trouble can still say so
LONGEST = 7 * 86400.0  # seconds that any call may last, progress or not
BURST = 100  # progress lines above the agreed rate, for a dom0 that was busy
_EXIT = 5.0  # seconds for the process to end after its reply
OnProgress = Callable[[Progress], None]


class _Clock:
    """How long the callee may take, and how much progress it may tell, from now on."""

    def __init__(self, service: Service) -> None:
        self._idle, self._seconds = service.idle, service.seconds * SLACK
        self._start = self._last = now()
        self._begun, self._lines = time.monotonic(), 0  # a pipe fills up meanwhile

    def left(self) -> float:
        """Answer the seconds that are left; raises TimeoutError when none are."""
        since = self._last if self._idle else self._start
        left = min(since + self._seconds, self._start + LONGEST) - now()
        if left <= 0:
            raise TimeoutError
        return left

    def tick(self) -> None:
        """Count a progress line; raises ReplyRefused for more than the agreed rate."""
        self._lines, self._last = self._lines + 1, now()
        if self._lines > PROGRESS_RATE * (time.monotonic() - self._begun) + BURST:
            raise ReplyRefused("more progress than agreed")


def calling(qube: Qube, service: Service, repository: Repository | None, values: Values,
            on_progress: OnProgress) -> Flow[dict[str, str]]:
    """Call a service in a running qube and answer the values of its reply.

    Raises WireError for anything but a reply of this row, ServiceTimeout, or the error that
    stands for the failure which the service reports. The process never outlives the call.
    """
    argument = "" if repository is None else str(parse_repository(str(repository)))
    nonce = secrets.token_hex(16)
    try:
        request = format_request(service, nonce, values)
    except RequestRefused as error:
        raise refusal("request-refused", service=service.name, why=error) from error
    if service.argument != bool(argument):
        raise ValueError(f"{service.name}: a repository too few or too many")
    child = qube.run_service(f"{service.full_name}+{argument}", "root" if service.root else None)
    try:
        untrusted_reply = yield from _exchange(child, service, request, on_progress)
        with suppress(TimeoutExpired):
            child.wait(_EXIT)
        status = child.returncode  # None if it does not end; it only chooses a hint
        reply = parse_reply(service, nonce, untrusted_reply) if untrusted_reply else None
        del untrusted_reply
    except ReplyRefused as error:
        raise refusal("reply-refused", qube=qube.name, service=service.name, why=error) from error
    except TimeoutError as error:
        raise refusal("no-reply-in-time", qube=qube.name, service=service.name) from error
    finally:
        _end(child)
    if reply is None:
        raise from_status(qube.name, service.name, status)
    if isinstance(reply, Failure):
        other = str(values.get("client") or values.get("vault"))  # it may have refused
        subject = other if reply.detail.startswith(f"{other}: ") else qube.name
        whose = {"server": values.get("lender", subject),
                 "repository": argument.partition("-")[2] or subject}
        raise from_failure(subject, reply.cause, reply.detail, **whose)
    return reply


def _exchange(child: Any, service: Service, request: bytes, on_progress: OnProgress) -> Flow[bytes]:
    """Send the request, tell the progress, answer the rest up to the end of the stream."""
    clock, untrusted, pending = _Clock(service), bytearray(), memoryview(request)
    source, sink = child.stdout.fileno(), child.stdin.fileno()
    os.set_blocking(sink, False)
    able = {sink}  # at once, before another flow has the thread: the service waits for it
    while True:
        if pending and sink in able:  # a closed one may be another call's by now
            pending = _send(sink, pending)
            if not pending:
                child.stdin.close()
        if source in able:
            untrusted_chunk = os.read(source, 4096)
            if not untrusted_chunk:
                return bytes(untrusted)
            untrusted += untrusted_chunk
            for progress in _progress(untrusted) if service.idle else ():
                clock.tick()
                on_progress(progress)
            if len(untrusted) > service.limit:
                raise ReplyRefused("too long")
        able = (yield [source], [sink] if pending else [], clock.left()) or set()


def _send(sink: int, pending: memoryview) -> memoryview:
    try:
        return pending[os.write(sink, pending):]
    except BlockingIOError:
        return pending
    except BrokenPipeError:  # it may have answered without reading the request
        return pending[:0]


def _progress(untrusted: bytearray) -> Iterator[Progress]:
    """Take the whole progress lines off the front, before the reply has begun."""
    while untrusted.startswith(b"progress="):
        end = untrusted.find(b"\n") + 1
        if not end and len(untrusted) <= PROGRESS_LIMIT:
            return
        yield parse_progress(bytes(untrusted[:end or PROGRESS_LIMIT + 1]))
        del untrusted[:end]


def _end(child: Any) -> None:
    child.kill()
    child.wait()
    child.stdout.close()
    with suppress(BrokenPipeError):
        child.stdin.close()
