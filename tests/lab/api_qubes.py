"""Calls about which qubes there are: listing, creating, removing, and disposables.

Runs in the supervisor, behind `qubesd`.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab import making, properties, settings
from lab.api_call import Call, Method, lines
from lab.api_errors import ApiError, Refused, in_use, not_halted
from lab.store import CLASSES, LABELS, Qube, check_name


def vm_list(call: Call) -> str:
    """Return one line for each qube, or for the one that was asked about."""
    shown = call.store if call.target.name == "dom0" else (call.target,)
    return lines(
        f"{qube.name} class={qube.klass} state={qube.state} uuid={qube.uuid}" for qube in shown
    )


def vmclass_list(call: Call) -> str:
    """Return the classes, one per line."""
    return lines(CLASSES)


def label_list(call: Call) -> str:
    """Return the labels, one per line."""
    return lines(LABELS)


def _label(call: Call) -> tuple[int, str]:
    if call.untrusted_argument not in LABELS:
        raise ApiError("QubesValueError", "")
    return LABELS[call.untrusted_argument]


def label_get(call: Call) -> str:
    """Return the colour of a label."""
    return _label(call)[1]


def label_index(call: Call) -> str:
    """Return the number of a label."""
    return str(_label(call)[0])


def _parse_create(untrusted_payload: bytes) -> tuple[str, str]:
    try:
        words = untrusted_payload.decode("ascii").split(" ")
        pairs = [tuple(word.split("=", 1)) for word in words]
    except UnicodeDecodeError as error:
        raise Refused from error
    if sorted(pair[0] for pair in pairs) != ["label", "name"] or min(map(len, pairs)) < 2:
        raise Refused
    found = {pair[0]: pair[1] for pair in pairs}
    name = check_name(found["name"])
    if found["label"].isdigit():
        raise Refused
    if found["label"] not in LABELS:
        raise ApiError("QubesLabelNotFoundError", f"there is no label {found['label']}")
    return name, found["label"]


def _template_for(call: Call, klass: str) -> str | None:
    if call.untrusted_argument:
        if call.untrusted_argument not in call.store.qubes:
            raise ApiError(
                "QubesVMNotFoundError", f"there is no qube {call.untrusted_argument!r}"
            )
        if klass not in ("AppVM", "DispVM"):
            raise ApiError("QubesValueError", f"a {klass} has no template")
        return call.untrusted_argument
    if klass not in ("AppVM", "DispVM"):
        return None
    wanted = "default_template" if klass == "AppVM" else "default_dispvm"
    default = settings.get_setting(call.store, wanted)
    if not isinstance(default, str):
        raise ApiError(
            "QubesValueError", "no template is named, and the system has no default one"
        )
    return default


def _create(klass: str) -> Method:
    def run(call: Call) -> str:
        template = _template_for(call, klass)
        name, label = _parse_create(call.untrusted_payload)
        making.create(call.system, name, klass, {"label": label}, template)
        return ""

    return Method(run, argument=True, payload=True, on_dom0=True)


def create_disposable(call: Call) -> str:
    """Make a disposable from the target, or from dom0's default; return its name or `uuid:`."""
    if call.untrusted_payload not in (b"", b"uuid"):
        raise ApiError("QubesValueError", "the payload may be empty or say uuid")
    name: object = call.target.name
    if call.target.name == "dom0":
        name = properties.get(call.store, call.source, "default_dispvm")
    if not isinstance(name, str):
        raise Refused
    qube = making.disposable(call.system, call.store.get(name))
    return f"uuid:{qube.uuid}" if call.untrusted_payload else qube.name


def remove(call: Call) -> str:
    """Remove a halted qube that nothing refers to."""
    qube = call.target
    if qube.name == "dom0":
        raise in_use(qube.name, "dom0 has to stay")
    if properties.get(call.store, qube, "installed_by_rpm"):
        raise in_use(qube.name, f"{qube.name} belongs to a package")
    with call.store.lock:
        if not qube.is_halted():
            raise not_halted(qube.name)
        if _is_referred_to(call, qube):
            raise in_use(qube.name)
        del call.store.qubes[qube.name]
    call.system.machines.remove(qube.name)
    return ""


def _is_referred_to(call: Call, qube: Qube) -> bool:
    for name, (kind, _) in settings.SETTINGS.items():
        if kind == "vm" and settings.get_setting(call.store, name) == qube.name:
            return True
    return any(
        value == qube.name and properties.PROPERTIES[name].type == "vm"
        for other in call.store
        if other is not qube
        for name, value in other.properties.items()
    )


METHODS: Mapping[str, Method] = {
    "admin.vm.List": Method(vm_list),
    "admin.vmclass.List": Method(vmclass_list, on_dom0=True),
    "admin.deviceclass.List": Method(lambda call: "", on_dom0=True),
    "admin.label.List": Method(label_list, on_dom0=True),
    "admin.label.Get": Method(label_get, argument=True, on_dom0=True),
    "admin.label.Index": Method(label_index, argument=True, on_dom0=True),
    "admin.vm.Create.AppVM": _create("AppVM"),
    "admin.vm.Create.StandaloneVM": _create("StandaloneVM"),
    "admin.vm.Create.TemplateVM": _create("TemplateVM"),
    "admin.vm.Create.DispVM": _create("DispVM"),
    "admin.vm.CreateDisposable": Method(create_disposable, payload=True),
    "admin.vm.Remove": Method(remove),
}
