"""One password login, typed for a person: ssh's questions answered in the one order that is safe.

Runs in the maintenance qube. The host key comes first: ssh itself compares it with the confirmed
fingerprint, and no password is sent to a server that shows another. What the server prints is
untrusted: it is matched, never shown, and each wait for it has an end.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pexpect

from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret

_QUESTION = rb"\(yes/no/\[fingerprint\]\)\? "
_NOT_THAT = rb"Please type 'yes', 'no' or the fingerprint: "
_PASSWORD = rb"(?i)pass(?:word|code|phrase)[^\r\n]{0,40}: ?\Z"
_CHANGED = rb"HOST IDENTIFICATION HAS CHANGED|Host key verification failed"
_DENIED = rb"Permission denied|Too many authentication failures"
_IN = b"qubes-borg-is-in"
_STEPS = (_IN, _QUESTION, _NOT_THAT, _CHANGED, _DENIED, _PASSWORD, pexpect.EOF, pexpect.TIMEOUT)
_WINDOW = 4096  # bytes of what was printed last that are looked at
_FLOOD = 1 << 20  # bytes
# ssh runs this after the login and before the far command: the one sign that cannot be missed.
OPTIONS = ("-o", "PermitLocalCommand=yes", "-o", f"LocalCommand=echo {_IN.decode('ascii')}")


class _Meter:
    """Is told all that is heard, keeps nothing of it, and ends a flood."""

    def __init__(self) -> None:
        self._heard = 0

    def write(self, chunk: bytes) -> None:
        """Count; raises ServiceFailure beyond what any login prints."""
        self._heard += len(chunk)
        if self._heard > _FLOOD:
            raise ServiceFailure("server-unreachable", "it floods the login with words")

    def flush(self) -> None:
        """Do nothing: there is nothing kept."""


@contextmanager
def logged_in(
    argv: Sequence[str], environment: dict[str, str], fingerprint: str, password: Secret,
    patience: float = 30.0,
) -> Iterator[None]:
    """Keep the ssh that argv starts logged in for the block; each expectation has `patience`.

    Raises ServiceFailure: host-key-changed (no password was sent), password-refused,
    server-unreachable.
    """
    # The terminal does not echo, so no password comes back as output.
    child = pexpect.spawn(
        argv[0], list(argv[1:]), env=environment, echo=False, timeout=patience,
        searchwindowsize=_WINDOW,
    )
    child.delaybeforesend = None
    child.logfile_read = _Meter()
    try:
        _answer(child, fingerprint, password)
        yield
    finally:
        child.close(force=True)


def _answer(child: pexpect.spawn, fingerprint: str, password: Secret) -> None:
    compared = typed = False
    while True:
        step = _STEPS[child.expect(list(_STEPS))]
        if step == _IN and typed:
            return
        if step == _QUESTION and not compared:
            compared = True
            child.sendline(fingerprint)  # ssh compares; it accepts no other key for it
        elif step == _PASSWORD and compared and not typed:
            typed = True
            child.sendline(password.reveal())
        else:
            raise _failure(step, compared, typed)


def _failure(step: object, compared: bool, typed: bool) -> ServiceFailure:
    if step in (_NOT_THAT, _CHANGED) or step == _PASSWORD and not compared:
        return ServiceFailure("host-key-changed", "it shows another key than the confirmed one")
    if step in (_PASSWORD, _DENIED):
        refused = "it did not accept it" if typed else "the account takes no password"
        return ServiceFailure("password-refused", refused)
    if step == pexpect.TIMEOUT and typed:
        return ServiceFailure("password-refused", "it asks for more than a password, or hangs")
    return ServiceFailure("server-unreachable", "the login did not come to an end")
