"""The system as an object: its qubes, its settings, its calls. Runs in dom0."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qubesadmin import config, exc
from qubesadmin.base import PropertyHolder, parse_response
from qubesadmin.label import Label, Labels
from qubesadmin.vm import QubesVM

# Given when a qube is made, or its own for ever.
NOT_CLONED = ("name", "qid", "template", "label", "uuid", "installed_by_rpm")


class VMCollection:
    """All qubes. The list is asked for once, until the cache is cleared."""

    def __init__(self, app: QubesBase) -> None:
        """Ask nothing yet."""
        self.app = app
        self._vm_list: dict[str, str] | None = None
        self._vm_objects: dict[str, QubesVM] = {}

    def clear_cache(self, invalidate_name: str | None = None) -> None:
        """Forget the list, and the object of that name."""
        self._vm_list = None
        if invalidate_name:
            self._vm_objects.pop(invalidate_name, None)

    def refresh_cache(self, force: bool = False) -> None:
        """Ask for the list if it is not known, or if `force`."""
        if self._vm_list is not None and not force:
            return
        known: dict[str, str] = {}
        for line in self.app.qubesd_call("dom0", "admin.vm.List").decode("ascii").splitlines():
            name, *words = line.split(" ")
            known[name] = dict(word.split("=", 1) for word in words)["class"]
        self._vm_list = known
        for name, vm in list(self._vm_objects.items()):
            if name not in known or vm.klass != known[name]:
                del self._vm_objects[name]

    def _names(self) -> dict[str, str]:
        self.refresh_cache()
        return self._vm_list or {}

    def __getitem__(self, item: str | QubesVM) -> QubesVM:
        """Return a qube; raise KeyError unless it exists."""
        if not self.app.blind_mode and item not in self:
            raise KeyError(str(item))
        return self.get_blind(str(item))

    def get_blind(self, item: str) -> QubesVM:
        """Return a qube without asking whether it exists."""
        if item not in self._vm_objects:
            klass = (self._vm_list or {}).get(item)
            self._vm_objects[item] = QubesVM(self.app, item, klass=klass)
        return self._vm_objects[item]

    def get(self, item: str | QubesVM, default: Any = None) -> Any:
        """Return a qube, or the default."""
        return self[item] if item in self else default

    def __contains__(self, item: str | QubesVM) -> bool:
        """Tell whether there is such a qube."""
        return str(item) in self._names()

    def __delitem__(self, key: str | QubesVM) -> None:
        """Remove a qube."""
        self.app.qubesd_call(str(key), "admin.vm.Remove")
        self.clear_cache()

    def __iter__(self) -> Iterator[QubesVM]:
        """Iterate over the qubes, sorted by name."""
        for name in sorted(self._names()):
            yield self[name]

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self._names())

    def values(self) -> list[QubesVM]:
        """Return the qubes."""
        return [self[name] for name in self._names()]


class QubesBase(PropertyHolder):
    """The system. Unknown attributes are its global properties."""

    domains: VMCollection
    labels: Labels
    log: logging.Logger
    blind_mode: bool = False
    cache_enabled: bool = False
    qubesd_connection_type: str = ""

    def __init__(self) -> None:
        """Ask nothing yet."""
        super().__init__(self, "admin.property.", "dom0")
        self.domains = VMCollection(self)
        self.labels = Labels(self)
        self.log = logging.getLogger("app")

    @property
    def local_name(self) -> str:
        """Name of this very qube."""
        return os.uname().nodename

    def list_vmclass(self) -> list[str]:
        """Return the classes of qubes, sorted."""
        return sorted(self.qubesd_call("dom0", "admin.vmclass.List").decode().splitlines())

    def get_label(self, label: str) -> Label:
        """Return a label by name; raise QubesLabelNotFoundError."""
        if label not in self.labels:
            raise exc.QubesLabelNotFoundError(label)
        return self.labels[label]

    def add_new_vm(
        self,
        cls: str,
        name: str,
        label: str | Label,
        template: str | QubesVM | None = None,
        pool: None = None,
        pools: Mapping[str, str] | None = None,
    ) -> QubesVM:
        """Make a qube and return it; pools cannot be chosen here."""
        if " " in name:
            raise ValueError(f"a qube's name has no space: {name!r}")
        if pool is not None or pools is not None:
            raise NotImplementedError("pools cannot be chosen")
        argument = None if template is None else str(template)
        payload = f"name={name} label={label}".encode()
        self.qubesd_call("dom0", "admin.vm.Create." + cls, argument, payload)
        self.domains.clear_cache()
        return self.domains[name]

    def clone_vm(
        self,
        src_vm: str | QubesVM,
        new_name: str,
        new_cls: str | None = None,
        *,
        pool: None = None,
        pools: Mapping[str, str] | None = None,
        ignore_errors: bool = False,
        ignore_volumes: Sequence[str] | None = None,
        ignore_devices: bool = False,
    ) -> QubesVM:
        """Make a copy of a qube and return it; pools cannot be chosen here.

        Menus cannot be copied, for want of their program: without `ignore_errors` that is the
        end, and the copy is removed again.
        """
        source = self.domains[src_vm]
        if new_cls not in (None, source.klass):
            raise NotImplementedError("a copy of another class")
        template = getattr(source, "template", None)
        copy = self.add_new_vm(source.klass, new_name, source.label, template, pool, pools)
        for name in source.property_list():
            if name not in NOT_CLONED and not source.property_is_default(name):
                setattr(copy, name, getattr(source, name))
        copy.tags.update(tag for tag in source.tags if not tag.startswith("created-by-"))
        for feature, value in source.features.items():
            copy.features[feature] = value
        if source.get_notes():
            copy.set_notes(source.get_notes())
        copy.qubesd_call(None, "admin.vm.firewall.Set", None,
                         source.qubesd_call(None, "admin.vm.firewall.Get"))
        if not ignore_errors:
            del self.domains[new_name]
            raise exc.QubesException("the menus cannot be copied")
        for name, volume in copy.volumes.items():
            if volume.save_on_stop and name not in (ignore_volumes or ()):
                volume.clone(source.volumes[name])
        return copy


class QubesLocal(QubesBase):
    """The system as dom0 reaches it: through qubesd's socket and qrexec-client."""

    qubesd_connection_type = "socket"

    def qubesd_call(
        self,
        dest: str | None,
        method: str,
        arg: str | None = None,
        payload: bytes | None = None,
        payload_stream: Any = None,
    ) -> bytes:
        """Make one call of the Admin API; return its data or raise its exception."""
        if payload_stream is not None:
            raise NotImplementedError("calls with a stream")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(config.QUBESD_SOCKET)
            except OSError as error:
                raise exc.QubesDaemonCommunicationError(
                    "qubesd cannot be reached: %s", str(error)
                ) from error
            header = f"{method}+{arg or ''} dom0 name {dest or 'dom0'}\0"
            connection.sendall(header.encode("ascii") + (payload or b""))
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as answer:
                return parse_response(answer.read())

    def run_service(
        self,
        dest: str,
        service: str,
        user: str | None = None,
        *,
        filter_esc: bool = False,
        localcmd: str | None = None,
        wait: bool = True,
        autostart: bool = True,
        **kwargs: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a service in a qube, which is started first unless `autostart` is False."""
        if not dest:
            raise ValueError("dom0 has to name the qube it calls")
        if localcmd is not None or dest == "dom0":
            raise NotImplementedError("calls to dom0, and with a local command")
        if autostart:
            self.qubesd_call(dest, "admin.vm.Start")
        elif not self.domains.get_blind(dest).is_running():
            raise exc.QubesVMNotRunningError("%s does not run", dest)
        options = ["-d", dest]
        options += ["-t"] if filter_esc else []
        options += ["-T"] if filter_esc or os.isatty(sys.stderr.fileno()) else []
        options += [] if wait else ["-e"]
        if "connect_timeout" in kwargs:
            options += ["-w", str(kwargs.pop("connect_timeout"))]
        full_name = service if "+" in service else service + "+"
        for stream in ("stdin", "stdout", "stderr"):
            kwargs.setdefault(stream, subprocess.PIPE)
        command = f"{user or 'DEFAULT'}:QUBESRPC {full_name} dom0"
        return subprocess.Popen([config.QREXEC_CLIENT, *options, command], **kwargs)
