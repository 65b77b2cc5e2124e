"""What a run says where nobody watches: the qube's journal.

Runs in clients. One line for each run that did something, whoever asked for it;
`journalctl -t qborg-run` shows them.
"""

import syslog

from qborg_service.failure import ServiceFailure
from qborg_wire.reply import printable

_LIMIT = 300  # characters


def info(text: str) -> None:
    """Note what is as it should be; without a journal nothing happens."""
    _note(syslog.LOG_INFO, text)


def failure(reason: ServiceFailure) -> None:
    """Note why there is no backup."""
    _note(syslog.LOG_ERR, f"{reason.cause}: {reason.detail}")


def _note(priority: int, text: str) -> None:
    syslog.openlog("qborg-run", syslog.LOG_PID, syslog.LOG_USER)
    syslog.syslog(priority, printable(text, _LIMIT))
    syslog.closelog()  # what a service says beside is of its own name
