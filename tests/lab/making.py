"""Making qubes: new ones, disposables, and copies.

Runs in the supervisor, for API calls and for world files alike. What a copy takes over is what
`qubesadmin`'s clone_vm ends up with, and for a disposable what qubesd does.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from lab import properties
from lab.api_call import System
from lab.api_errors import ApiError, not_halted
from lab.store import Qube, Value

MAKER_TAGS = ("created-by-dom0", "guivm-dom0", "audiovm-dom0")
DISPOSABLE_TAG = "disp-created-by-dom0"
DISPOSABLE_IDS = 10000
# A disposable has no such property, or one of its own.
NOT_FOR_DISPOSABLES = ("template", "template_for_dispvms")


def create(
    system: System, name: str, klass: str, own: Mapping[str, Value], template: str | None = None
) -> Qube:
    """Make a qube and its storage; raise as qubesd does when that is not possible.

    `own` are its properties. A class that is not based on a template begins with a copy of it.
    """
    based = klass in ("AppVM", "DispVM")
    with system.store.lock:
        if based:
            properties.check_template(system.store, Qube("", klass, "", -1), template)
        qube = system.store.add(name, klass, {**own, "template": template} if based else own)
        qube.tags.update(MAKER_TAGS)
        try:
            system.machines.create(name, klass, template)
        except Exception:
            del system.store.qubes[name]
            raise
    return qube


def disposable(system: System, template: Qube) -> Qube:
    """Make a disposable with the template's properties, tags, features and firewall."""
    if not properties.get(system.store, template, "template_for_dispvms"):
        raise ApiError(
            "QubesException",
            f"{template.name} is no template for disposables (template_for_dispvms)",
        )
    own = {
        key: value for key, value in template.properties.items() if key not in NOT_FOR_DISPOSABLES
    }
    with system.store.lock:
        number = secrets.randbelow(DISPOSABLE_IDS)
        while f"disp{number}" in system.store.qubes:
            number = secrets.randbelow(DISPOSABLE_IDS)
        own |= {"dispid": number, "auto_cleanup": True}
        qube = create(system, f"disp{number}", "DispVM", own, template.name)
        qube.tags |= template.tags | {DISPOSABLE_TAG}
        qube.firewall = list(template.firewall)
        qube.features |= {
            name: value
            for name, value in template.features.items()
            if not name.startswith("preload-dispvm")
        }
    return qube


def clone(system: System, source: Qube, name: str) -> Qube:
    """Make a copy of a halted qube under a new name, with a new uuid.

    Properties, tags (without its maker's), features, notes, firewall rules and what is kept on its
    volumes are those of the source.
    """
    if source.is_running():
        raise not_halted(source.name)
    with system.store.lock:
        qube = create(system, name, source.klass, source.properties, source.template)
        qube.tags |= {tag for tag in source.tags if not tag.startswith("created-by-")}
        qube.features |= source.features
        qube.notes = source.notes
        qube.firewall = list(source.firewall)
    for volume in ("root", "private"):
        if volume == "private" or source.template is None:
            system.machines.copy_volume(source.name, name, volume)
    return qube
