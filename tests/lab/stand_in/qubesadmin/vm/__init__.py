"""Qubes as objects. Runs in dom0."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from qubesadmin import exc
from qubesadmin.base import PropertyHolder
from qubesadmin.features import Features
from qubesadmin.storage import Volume
from qubesadmin.tags import Tags

if TYPE_CHECKING:
    from qubesadmin.app import QubesBase


class QubesVM(PropertyHolder):
    """One qube, by name. Nothing is asked until it is needed; unknown attributes are properties."""

    tags: Tags
    features: Features

    def __init__(self, app: QubesBase, name: str, klass: str | None = None) -> None:
        """Take the name without asking whether it exists."""
        super().__init__(app, "admin.vm.property.", name)
        self._klass = klass
        self.tags = Tags(self)
        self.features = Features(self)

    @property
    def name(self) -> str:
        """Name of the qube."""
        return self._method_dest

    @property
    def klass(self) -> str:
        """Class, like `AppVM`."""
        if self._klass is None:
            answer = self.qubesd_call(None, "admin.vm.List").decode("ascii")
            self._klass = dict(word.split("=", 1) for word in answer.split()[1:])["class"]
        return self._klass

    def __str__(self) -> str:
        """Return the name."""
        return self._method_dest

    def __lt__(self, other: object) -> bool:
        """Order by name."""
        if isinstance(other, QubesVM):
            return self.name < other.name
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        """Compare by name, with a qube or with text."""
        if isinstance(other, QubesVM | str):
            return self.name == str(other)
        return NotImplemented

    def __hash__(self) -> int:
        """Hash as the name does."""
        return hash(self.name)

    def start(self) -> None:
        """Start it, if it is off."""
        self.qubesd_call(None, "admin.vm.Start")

    def shutdown(self, force: bool = False, wait: bool = False) -> None:
        """Stop it in order."""
        words = [word for word, wanted in (("force", force), ("wait", wait)) if wanted]
        self.qubesd_call(None, "admin.vm.Shutdown", "+".join(words) or None)

    def kill(self) -> None:
        """Stop it at once."""
        self.qubesd_call(None, "admin.vm.Kill")

    def pause(self) -> None:
        """Stop its processes where they are."""
        self.qubesd_call(None, "admin.vm.Pause")

    def unpause(self) -> None:
        """Let them go on."""
        self.qubesd_call(None, "admin.vm.Unpause")

    def _current_state(self) -> dict[str, str]:
        answer = self.qubesd_call(None, "admin.vm.CurrentState").decode("ascii")
        return dict(word.split("=", 1) for word in answer.split())

    def get_power_state(self) -> str:
        """Return the power state; `NA` when it cannot be known."""
        try:
            return self._current_state()["power_state"]
        except (exc.QubesDaemonAccessError, exc.QubesVMNotFoundError):
            return "NA"

    def get_mem(self) -> int:
        """Return the memory in use, in KiB."""
        return int(self._current_state()["mem"])

    def is_halted(self) -> bool:
        """Tell whether it is off."""
        return self.get_power_state() == "Halted"

    def is_paused(self) -> bool:
        """Tell whether it is paused."""
        return self.get_power_state() == "Paused"

    def is_running(self) -> bool:
        """Tell whether it is anything but off, so paused and halting too."""
        return self.get_power_state() not in ("Halted", "NA")

    def is_networked(self) -> bool:
        """Tell whether it has, or gives, network."""
        return bool(self.provides_network) or self.netvm is not None

    @property
    def volumes(self) -> dict[str, Volume]:
        """Volumes by name."""
        names = self.qubesd_call(None, "admin.vm.volume.List").decode("ascii").splitlines()
        return {name: Volume(self.app, vm=self.name, vm_name=name) for name in names}

    def get_notes(self) -> str:
        """Return the notes."""
        return self.qubesd_call(None, "admin.vm.notes.Get").decode()

    def set_notes(self, notes: str) -> None:
        """Replace the notes."""
        self.qubesd_call(None, "admin.vm.notes.Set", payload=str(notes).encode())

    def run_service(self, service: str, **kwargs: Any) -> subprocess.Popen[bytes]:
        """Start a service in it; return the client process."""
        process: subprocess.Popen[bytes] = self.app.run_service(
            self._method_dest, service, **kwargs
        )
        return process

    def run_service_for_stdio(
        self, service: str, input: bytes | None = None, timeout: float | None = None, **kwargs: Any
    ) -> tuple[bytes, bytes]:
        """Run a service to its end; raise CalledProcessError for a status that is not 0."""
        process = self.run_service(service, **kwargs)
        output = process.communicate(input=input, timeout=timeout)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, service, *output)
        return output
