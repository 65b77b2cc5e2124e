"""QubesDB of the lab: what a qube may read about itself, one file for each key.

Runs in the supervisor. The files lie in the directory that the qube sees as /run/lab/qubesdb;
`bin/qubesdb-read` reads them there. In a file name `/` is written as `%`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lab import properties
from lab.store import Qube, Store

SERVICE_LENGTH = 48
CONFIG_LENGTH = 52
PERSIST_LENGTH = 54
SERVICE_PREFIX = "service."
CONFIG_PREFIX = "vm-config."
PERSIST_PREFIX = "custom-persist."


def persistence(qube: Qube) -> str:
    """Return `full`, `rw-only` or `none`, as a qube of this class keeps its files."""
    return {"TemplateVM": "full", "StandaloneVM": "full", "DispVM": "none"}.get(
        qube.klass, "rw-only"
    )


def services(qube: Qube) -> dict[str, bool]:
    """Return the services that dom0 switched on or off for this qube, by name."""
    return {
        feature[len(SERVICE_PREFIX) :]: bool(value)
        for feature, value in qube.features.items()
        if feature.startswith(SERVICE_PREFIX)
        and 0 < len(feature) - len(SERVICE_PREFIX) <= SERVICE_LENGTH
    }


def entries(store: Store, qube: Qube) -> dict[str, str]:
    """Return all keys and values that a qube starts with."""
    found = {
        "/name": qube.name,
        "/type": qube.klass,
        "/default-user": str(properties.get(store, qube, "default_user")),
        "/qubes-vm-updateable": str(properties.get(store, qube, "updateable")),
        "/qubes-vm-persistence": persistence(qube),
        "/qubes-debug-mode": str(int(bool(properties.get(store, qube, "debug")))),
        "/qubes-base-template": qube.template or "",
        "/qubes-timezone": "Etc/UTC",
        "/qubes-block-devices": "",
        "/qubes-usb-devices": "",
    }
    if properties.get(store, qube, "netvm") is not None:
        found["/qubes-mac"] = properties.MAC
        found["/qubes-ip"] = properties.address(store, qube) or ""
    for feature, value in qube.features.items():
        key = key_of(feature)
        if key is not None:
            found[key] = text_of(feature, value)
    return found


def key_of(feature: str) -> str | None:
    """Return the key under which a feature is seen in its qube, None for most features."""
    if feature.startswith(SERVICE_PREFIX) and len(feature) <= len(SERVICE_PREFIX) + SERVICE_LENGTH:
        return "/qubes-service/" + feature[len(SERVICE_PREFIX) :]
    if feature.startswith(CONFIG_PREFIX):
        return "/vm-config/" + feature[len(CONFIG_PREFIX) :]
    if feature.startswith(PERSIST_PREFIX):
        return "/persist/" + feature[len(PERSIST_PREFIX) :]
    return None


def text_of(feature: str, value: str) -> str:
    """Return what the key of a feature holds: a service is `0` or `1`."""
    return str(int(bool(value))) if feature.startswith(SERVICE_PREFIX) else value


def change(directory: Path, feature: str, value: str | None) -> None:
    """Let a running qube see a changed feature at once; None removes its key."""
    key = key_of(feature)
    if key is None or not directory.is_dir():
        return
    path = directory / key.replace("/", "%")
    if value is None:
        path.unlink(missing_ok=True)
        return
    temporary = directory / (".new" + path.name)
    temporary.write_text(text_of(feature, value))
    os.replace(temporary, path)


def write_all(directory: Path, values: Mapping[str, str]) -> None:
    """Replace everything in the directory by these keys."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    for key, value in values.items():
        (directory / key.replace("/", "%")).write_text(value)
