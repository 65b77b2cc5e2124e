"""Volumes of a qube. Runs in dom0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qubesadmin import exc

if TYPE_CHECKING:
    from qubesadmin.app import QubesBase


class Volume:
    """One volume of one qube; everything is asked for anew each time."""

    def __init__(self, app: QubesBase, vm: str, vm_name: str) -> None:
        """Take the name of the qube and that of its volume."""
        self.app = app
        self._vm = vm
        self._vm_name = vm_name

    def _qubesd_call(self, func_name: str, payload: bytes | None = None) -> bytes:
        method = "admin.vm.volume." + func_name
        return self.app.qubesd_call(self._vm, method, self._vm_name, payload)

    def _info(self, key: str) -> str:
        try:
            answer = self._qubesd_call("Info").decode("ascii")
        except exc.QubesDaemonAccessError as error:
            raise exc.QubesPropertyAccessError(key) from error
        return dict(line.split("=", 1) for line in answer.splitlines())[key]

    def __eq__(self, other: object) -> bool:
        """Compare by pool and id."""
        if isinstance(other, Volume):
            return (self.pool, self.vid) == (other.pool, other.vid)
        return NotImplemented

    def __lt__(self, other: Any) -> bool:
        """Order by qube and name."""
        return (self._vm, self._vm_name) < (other._vm, other._vm_name)

    @property
    def name(self) -> str:
        """Name within the qube, like `private`."""
        return self._vm_name

    @property
    def pool(self) -> str:
        """Name of the storage pool."""
        return self._info("pool")

    @property
    def vid(self) -> str:
        """Id within the pool."""
        return self._info("vid")

    @property
    def size(self) -> int:
        """Size in bytes."""
        return int(self._info("size"))

    @property
    def usage(self) -> int:
        """Used space in bytes."""
        return int(self._info("usage"))

    @property
    def rw(self) -> bool:
        """Whether it can be written."""
        return self._info("rw") == "True"

    @property
    def snap_on_start(self) -> bool:
        """Whether it is a fresh snapshot at each start."""
        return self._info("snap_on_start") == "True"

    @property
    def save_on_stop(self) -> bool:
        """Whether it is kept when the qube stops."""
        return self._info("save_on_stop") == "True"

    @property
    def source(self) -> str | None:
        """Id of the volume that it is a snapshot of."""
        return self._info("source") or None

    @property
    def revisions(self) -> list[str]:
        """Ids of the kept revisions, oldest first."""
        return self._qubesd_call("ListSnapshots").decode("ascii").splitlines()

    @property
    def revisions_to_keep(self) -> int:
        """How many revisions are kept."""
        return int(self._info("revisions_to_keep"))

    @revisions_to_keep.setter
    def revisions_to_keep(self, value: int) -> None:
        """Keep this many from the next stop on."""
        self._qubesd_call("Set.revisions_to_keep", str(value).encode("ascii"))

    def is_outdated(self) -> bool:
        """Tell whether its source changed since the snapshot."""
        return self._info("is_outdated") == "True"

    def clone(self, source: Volume) -> None:
        """Replace the content by that of another qube's volume."""
        self._qubesd_call("CloneTo", source._qubesd_call("CloneFrom"))
