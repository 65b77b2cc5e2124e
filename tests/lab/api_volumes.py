"""Calls about the volumes of a qube, and those about pools that reading a volume brings along.

Runs in the supervisor, behind `qubesd`. Sizes are Qubes' defaults, in bytes; nothing measures
what a volume holds. Revert, Clear and Import are not in the lab and are refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from lab.api_call import Call, Method, lines, parse_size
from lab.api_errors import ApiError, Refused, not_halted
from lab.store import Qube

GIB = 1024**3
SIZES = {"root": 10 * GIB, "private": 2 * GIB, "volatile": 10 * GIB, "kernel": 0}
POOL = "varlibqubes"
# volume -> classes that keep it when they stop
SAVED = {
    "root": ("TemplateVM", "StandaloneVM"),
    "private": ("TemplateVM", "StandaloneVM", "AppVM"),
}


def _volume(call: Call) -> str:
    if call.target.klass == "AdminVM" or call.untrusted_argument not in SIZES:
        raise Refused
    return call.untrusted_argument


def is_saved(qube: Qube, volume: str) -> bool:
    """Tell whether a qube of this class keeps the volume when it stops."""
    return qube.klass in SAVED.get(volume, ())


def volume_list(call: Call) -> str:
    """Return the names of the volumes; dom0 has none."""
    return "" if call.target.klass == "AdminVM" else lines(SIZES)


def volume_info(call: Call) -> str:
    """Return one key=value line for each thing to know of a volume."""
    volume, qube = _volume(call), call.target
    saved = is_saved(qube, volume)
    origin = qube.template if volume in SAVED and not saved else None
    found = {
        "pool": "linux-kernel" if volume == "kernel" else POOL,
        "vid": f"appvms/{qube.name}/{volume}",
        "size": qube.sizes.get(volume, SIZES[volume]),
        "usage": 0,
        "rw": volume != "kernel",
        "source": f"appvms/{origin}/{volume}" if origin else "",
        "path": f"/var/lib/qubes/appvms/{qube.name}/{volume}.img",
        "save_on_stop": saved,
        "snap_on_start": origin is not None,
        "revisions_to_keep": qube.keep.get(volume, 1),
        "ephemeral": False,
        "is_outdated": False,
    }
    return lines(f"{key}={value}" for key, value in found.items())


def volume_revisions(call: Call) -> str:
    """Return the ids of the kept revisions, oldest first."""
    volume = _volume(call)
    if not is_saved(call.target, volume):
        return ""
    return lines(call.system.machines.revisions(call.target.name, volume))


def resize(call: Call) -> str:
    """Make a volume larger; the drivers of Qubes' pools refuse to make one smaller."""
    volume, qube = _volume(call), call.target
    size = parse_size(call.untrusted_payload)
    if volume == "kernel":
        raise ApiError("StoragePoolException", "a volume that is read only has its size")
    if size < qube.sizes.get(volume, SIZES[volume]):
        raise ApiError("StoragePoolException", "shrinking is not supported")
    qube.sizes[volume] = size
    return ""


def set_revisions_to_keep(call: Call) -> str:
    """Keep this many revisions from the next stop on; -1 turns snapshots off."""
    volume, qube = _volume(call), call.target
    count = parse_size(call.untrusted_payload, negative=True)
    if count < -1:
        raise ApiError("QubesValueError", "that many revisions cannot be kept")
    if qube.is_running() and -1 in (count, qube.keep.get(volume, 1)):
        raise not_halted(qube.name)
    qube.keep[volume] = count
    if is_saved(qube, volume):
        call.system.machines.set_revisions_to_keep(qube.name, volume, max(count, 0))
    return ""


def clone_from(call: Call) -> str:
    """Offer a volume for cloning; return a token that is good once."""
    volume = _volume(call)
    token = secrets.token_hex(16)
    call.system.tokens[token] = (call.target.uuid, volume)
    return token


def clone_to(call: Call) -> str:
    """Replace a volume of a halted qube by the one that was offered under the token."""
    volume = _volume(call)
    token = call.untrusted_payload.decode("ascii", "replace").strip()
    offered = call.system.tokens.pop(token, None)
    if offered is None:
        raise Refused
    uuid, source_volume = offered
    source = call.store.find("uuid:" + uuid)
    if call.target.is_running():
        raise ApiError("StoragePoolException", f"Volume {call.target.name}:{volume} is in use")
    if source.is_running():
        # The last commit of a running qube is not kept apart here; its files now are another thing.
        raise ApiError("StoragePoolException", "the lab clones volumes of halted qubes only")
    if source_volume != volume:
        raise ApiError("StoragePoolException", "the lab clones a volume to its like only")
    if is_saved(source, volume):
        call.system.machines.copy_volume(source.name, call.target.name, volume)
    if volume in source.sizes:
        call.target.sizes[volume] = source.sizes[volume]
    return ""


def pool_list(call: Call) -> str:
    """Return the names of the storage pools."""
    return lines((POOL, "linux-kernel"))


METHODS: Mapping[str, Method] = {
    "admin.vm.volume.List": Method(volume_list),
    "admin.vm.volume.Info": Method(volume_info, argument=True),
    "admin.vm.volume.ListSnapshots": Method(volume_revisions, argument=True),
    "admin.vm.volume.Resize": Method(resize, argument=True, payload=True),
    "admin.vm.volume.Set.revisions_to_keep": Method(
        set_revisions_to_keep, argument=True, payload=True
    ),
    "admin.vm.volume.CloneFrom": Method(clone_from, argument=True),
    "admin.vm.volume.CloneTo": Method(clone_to, argument=True, payload=True),
    "admin.pool.List": Method(pool_list, on_dom0=True),
}
