"""The frame: one call from qrexec's environment and stdin to the reply on stdout.

Runs in every qube with a service, once per call. stdout belongs to the protocol: a handler's
print goes to stderr. stderr and the log get no secret and no text of the request.
"""

import os
import sys
import syslog
import time
import traceback
from collections.abc import Callable, Mapping

from qborg_service import qubesdb
from qborg_service.answer import NO_NONCE, format_failure, format_reply
from qborg_service.call import Call
from qborg_service.deadline import DeadlinePassed, deadline, rearm
from qborg_service.failure import ServiceFailure, is_full
from qborg_service.qrexec import record_nonce
from qborg_service.request import parse_request
from qborg_wire import names
from qborg_wire.reply import PROGRESS_RATE, Failure, Progress
from qborg_wire.request import RequestRefused, Value
from qborg_wire.row import Role, Service
from qborg_wire.services import SERVICES

Handler = Callable[[Call], Mapping[str, str]]
_OK, _FAILED, _INTERNAL = 0, 1, 2


class _CallerGone(BaseException):
    """Nobody reads the reply. No Exception, so that no handler swallows it."""


def service(name: str, role: Role, handler: Handler) -> Callable[[], int]:
    """Answer the `main` of a service: it serves one call and answers the exit code.

    0: the reply is a success; 1: a failure of the contract; 2: a fault of ours.
    """
    row = SERVICES[name]
    if role not in row.callees:
        raise ValueError(f"{name} is not served by {role.value}")

    def main() -> int:
        return _Exchange(row, role).serve(handler)

    return main


class _Exchange:
    """One call while it is served."""

    def __init__(self, row: Service, role: Role) -> None:
        self._row, self._role = row, role
        self._nonce = NO_NONCE
        self._next_progress = 0.0
        os.umask(0o077)
        sys.stdout.flush()
        self._outlet = os.dup(1)
        os.dup2(2, 1)

    def serve(self, handler: Handler) -> int:
        """Receive, run the handler, answer; every ending has its reply."""
        try:
            with deadline(self._row.seconds):
                call = self._receive()
                code, payload = _OK, format_reply(self._row, self._nonce, handler(call))
        except ServiceFailure as failure:
            code, payload = _FAILED, self._failure(failure.cause, failure.detail)
        except DeadlinePassed:
            code, payload = _FAILED, self._failure("time-out", "the service took too long")
        except _CallerGone:
            return _FAILED
        except Exception as error:  # the frame: every other fault becomes one line
            code, payload = self._fault(error)
        try:
            self._write(payload)
        except _CallerGone:
            return _FAILED
        return code

    def _receive(self) -> Call:
        caller = self._caller(os.environ.get("QREXEC_REMOTE_DOMAIN", ""))
        untrusted_request = self._read()
        values, record = self._parse(untrusted_request)
        del untrusted_request
        if not self._row.before_role and not qubesdb.role_is_on(self._role.value):
            raise ServiceFailure("not-this-role", f"this qube is no {self._role.value} qube")
        repository = self._argument(os.environ.get("QREXEC_SERVICE_ARGUMENT", ""))
        return Call(self._row, repository, values, record, caller, self._progress)

    def _caller(self, untrusted_caller: str) -> str:
        if Role.DOM0 in self._row.callers:
            if untrusted_caller != "dom0":
                raise ServiceFailure("wrong-caller", "only dom0 may call this service")
            return "dom0"
        try:
            return names.parse_qube(untrusted_caller)
        except names.NameRefused as error:
            raise ServiceFailure("wrong-caller", "only a qube may call this service") from error

    def _read(self) -> bytes:
        untrusted_request = bytearray()
        while len(untrusted_request) <= self._row.limit:
            chunk = os.read(0, self._row.limit + 1 - len(untrusted_request))
            if not chunk:
                break
            untrusted_request += chunk
        # No child of a handler may read on, and a caller that sends more learns it.
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        if len(untrusted_request) > self._row.limit:
            raise ServiceFailure("bad-request", "the request is too long")
        return bytes(untrusted_request)

    def _parse(self, untrusted_request: bytes) -> tuple[Mapping[str, Value], bytes | None]:
        if self._row.record:
            self._nonce = record_nonce(untrusted_request)
            return {}, untrusted_request
        try:
            self._nonce, values = parse_request(self._row, untrusted_request)
        except RequestRefused as error:
            raise ServiceFailure("bad-request", str(error)) from error
        return values, None

    def _argument(self, untrusted_argument: str) -> names.Repository | None:
        if not self._row.argument:
            if untrusted_argument:
                raise ServiceFailure("bad-request", "this service takes no argument")
            return None
        try:
            return names.parse_repository(untrusted_argument)
        except names.NameRefused as error:
            raise ServiceFailure("bad-request", "the argument is no repository") from error

    def _progress(self, progress: Progress) -> None:
        if not self._row.idle:
            raise ValueError(f"{self._row.name} tells no progress")
        rearm(self._row.seconds)
        now = time.monotonic()
        if now >= self._next_progress:
            self._next_progress = now + 1 / PROGRESS_RATE
            self._write(progress.encode())

    def _fault(self, error: Exception) -> tuple[int, bytes]:
        if isinstance(error, OSError) and is_full(error):
            return _FAILED, self._failure("no-space", "a file could not be written")
        _log_fault(self._row, error)
        return _INTERNAL, self._failure("internal", type(error).__name__)

    def _failure(self, cause: str, detail: str) -> bytes:
        syslog.syslog(syslog.LOG_NOTICE, f"{self._row.full_name}: {cause}")
        return format_failure(self._nonce, Failure(cause, detail))

    def _write(self, payload: bytes) -> None:
        try:
            while payload:
                payload = payload[os.write(self._outlet, payload) :]
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _CallerGone from error


def _log_fault(row: Service, error: Exception) -> None:
    """Log where it happened but not the message, which may repeat what came in."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames[-12:]))
    syslog.syslog(syslog.LOG_ERR, f"{row.full_name}: {type(error).__name__} at {places}")
