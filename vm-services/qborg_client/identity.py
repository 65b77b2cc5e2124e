"""Is this qube the one that the bundle was made for?

Runs in clients. A disposable, a clone or a restored copy of a client holds its bundle and its
crontab, but must not speak for it. A plain host, which has no QubesDB, is known by its host name.
"""

import contextlib
import os
import re
from pathlib import Path

from qborg_borg.bundle import Bundle
from qborg_client.paths import Paths
from qborg_service import qubesdb
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire.names import NameRefused, Repository, parse_qube

# The domain's handle: what qubesd gives libvirt as the qube's uuid. Kernels without it there are.
_HANDLE = Path("/sys/hypervisor/uuid")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def own_qube() -> str:
    """Answer this qube's name; raises ServiceFailure where QubesDB does not tell one."""
    try:
        return parse_qube(qubesdb.own_name() if qubesdb.is_qube() else _host())
    except NameRefused as error:
        source = "QubesDB does not tell" if qubesdb.is_qube() else "no bundle can have"
        raise ServiceFailure("not-this-qube", f"{source} this qube's name") from error


def _host() -> str:
    return os.uname().nodename.partition(".")[0]


def require_lasting() -> None:
    """Raise ServiceFailure in a disposable, and where QubesDB does not say that this is none."""
    if qubesdb.is_qube() and qubesdb.persistence() not in ("full", "rw-only"):
        raise ServiceFailure("not-this-qube", "this is a disposable; nothing in it would last")


def require_lasting_home(home: Path) -> None:
    """Raise ServiceFailure if the next start of this qube makes the user's home anew."""
    if qubesdb.persistence() == "rw-only" and home.parts[1:2] not in (("home",), ("rw",)):
        raise ServiceFailure("bundle-refused", f"{home} is lost at a restart; see default_user")


def require_own(paths: Paths, bundle: Bundle) -> None:
    """Raise ServiceFailure unless the bundle was made for this very qube."""
    require_lasting()
    own = own_qube()
    if own != bundle.qube:
        raise ServiceFailure(
            "not-this-qube", f"the bundle is for {bundle.qube}, this qube is {own}: a copy"
        )
    if is_of_another(paths):
        raise ServiceFailure(
            "not-this-qube", f"the bundle came to another {own}: this is a copy, or was restored"
        )


def is_of_another(paths: Paths) -> bool:
    """Tell whether the bundle came to another qube than this, as far as the kernel tells."""
    bound, uuid = _uuid(paths.bond), _uuid(_HANDLE)
    return bound is not None and uuid is not None and bound != uuid


def bind(paths: Paths, uuid: str) -> None:
    """Note which qube has the bundle, if what Xen says here is what dom0 says.

    Elsewhere the handle may be anything, and differ at the next start.
    """
    if _uuid(_HANDLE) == uuid:
        paths.make_state()
        write_private(paths.bond, f"{uuid}\n".encode("ascii"))


def release(paths: Paths) -> None:
    """Forget which other qube had the bundle: dom0 has it delivered to this one."""
    if _uuid(paths.bond) != _uuid(_HANDLE):
        paths.bond.unlink(missing_ok=True)


def _uuid(path: Path) -> str | None:
    """Answer the uuid in a file, None if there is none."""
    with contextlib.suppress(FileRefused, OSError):
        text = read_limited(path, 64).decode("ascii", "replace").strip()
        return text if _UUID.fullmatch(text) else None
    return None


def require_repository(bundle: Bundle, repository: Repository) -> None:
    """Raise ServiceFailure unless the call and the bundle mean the same repository."""
    if bundle.repository != repository:
        raise ServiceFailure("not-this-qube", f"the bundle here is for {bundle.repository}")
