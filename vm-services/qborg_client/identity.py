"""Is this qube the one that the bundle was made for?

Runs in clients. A disposable, a clone or a restored copy of a client holds its bundle and its
crontab, but must not speak for it. A plain host, which has no QubesDB, is known by its host name.
"""

import socket
from pathlib import Path

from qborg_borg.bundle import Bundle
from qborg_service import qubesdb
from qborg_service.failure import ServiceFailure
from qborg_wire.names import NameRefused, Repository, parse_qube


def own_qube() -> str:
    """Answer this qube's name; raises ServiceFailure where QubesDB does not tell one."""
    try:
        return parse_qube(qubesdb.own_name() if qubesdb.is_qube() else _host())
    except NameRefused as error:
        source = "QubesDB does not tell" if qubesdb.is_qube() else "no bundle can have"
        raise ServiceFailure("not-this-qube", f"{source} this qube's name") from error


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def require_lasting() -> None:
    """Raise ServiceFailure in a disposable, and where QubesDB does not say that this is none."""
    if qubesdb.is_qube() and qubesdb.persistence() not in ("full", "rw-only"):
        raise ServiceFailure("not-this-qube", "this is a disposable; nothing in it would last")


def require_lasting_home(home: Path) -> None:
    """Raise ServiceFailure if the next start of this qube makes the user's home anew."""
    if qubesdb.persistence() == "rw-only" and home.parts[1:2] not in (("home",), ("rw",)):
        raise ServiceFailure("bundle-refused", f"{home} is lost at a restart; see default_user")


def require_own(bundle: Bundle) -> None:
    """Raise ServiceFailure unless the bundle was made for this very qube."""
    require_lasting()
    own = own_qube()
    if own != bundle.qube:
        raise ServiceFailure(
            "not-this-qube", f"the bundle is for {bundle.qube}, this qube is {own}: a copy"
        )


def require_repository(bundle: Bundle, repository: Repository) -> None:
    """Raise ServiceFailure unless the call and the bundle mean the same repository."""
    if bundle.repository != repository:
        raise ServiceFailure("not-this-qube", f"the bundle here is for {bundle.repository}")
