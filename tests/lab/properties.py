"""Properties of qubes and of the system: their types, defaults, and what may be set.

Runs in the supervisor, on a `Store`. It holds the properties that a client of the Admin API
is known to use; any other name is "no such property", which is stricter than the genuine list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lab.api_errors import ApiError, Refused, not_halted
from lab.settings import UNSET, get_setting, parse
from lab.store import Qube, Store, Value

MAC = "00:16:3e:5e:6c:00"

Default = Callable[[Store, Qube], object]
Check = Callable[[Store, Qube, Value], None]

_VMS = frozenset({"AppVM", "DispVM", "StandaloneVM", "TemplateVM"})
_ALL = _VMS | {"AdminVM"}
_DVM = frozenset({"AppVM", "StandaloneVM"})
_BASED = frozenset({"AppVM", "DispVM"})
_DISP = frozenset({"DispVM"})


@dataclass(frozen=True)
class Property:
    """One property: wire type, classes that have it, default, what it accepts.

    `access` is `set`, `forbidden` (an error) or `once` (written at creation: silently refused).
    `allow_none` is about qubes only.
    """

    type: str
    classes: frozenset[str]
    default: Default
    access: str = "set"
    check: Check | None = None
    allow_none: bool = True


def _constant(value: object) -> Default:
    return lambda store, qube: value


def _setting(name: str) -> Default:
    return lambda store, qube: get_setting(store, name)


def _inherited(name: str, otherwise: Default) -> Default:
    def default(store: Store, qube: Qube) -> object:
        if qube.template is not None:
            return get(store, store.get(qube.template), name)
        return otherwise(store, qube)

    return default


def clients(store: Store, netvm: Qube) -> list[Qube]:
    """Return the qubes whose net qube this is."""
    return [qube for qube in store if get(store, qube, "netvm") == netvm.name]


def address(store: Store, qube: Qube) -> str | None:
    """Return the IP address of a qube in Qubes' own numbering, None without network."""
    if not (get(store, qube, "provides_network") or get(store, qube, "netvm")):
        return None
    number = int(str(qube.properties.get("dispid", qube.qid)))
    middle = "10.138" if qube.klass == "DispVM" else "10.137"
    return f"{middle}.{number // 254}.{number % 254 + 1}"


def _netvm_default(store: Store, qube: Qube) -> object:
    return None if qube.klass == "TemplateVM" else get_setting(store, "default_netvm")


def _dispvm_default(store: Store, qube: Qube) -> object:
    return qube.template if qube.klass == "DispVM" else get_setting(store, "default_dispvm")


def _icon(store: Store, qube: Qube) -> str:
    kind = "adminvm" if qube.klass == "AdminVM" else qube.klass.lower()
    return f"{kind}-{qube.properties['label']}"


def _check_netvm(store: Store, qube: Qube, value: Value) -> None:
    if not qube.is_halted():
        raise ApiError("QubesException", "The lab does not change the netvm of a running qube")
    if value is None:
        return
    netvm = store.get(str(value))
    if not get(store, netvm, "provides_network"):
        raise ApiError("QubesValueError", f"{value} gives no network")
    seen = netvm
    while seen is not qube:
        following = get(store, seen, "netvm")
        if not isinstance(following, str):
            return
        seen = store.get(following)
    raise ApiError("QubesValueError", "that netvm would make a circle")


def _check_provides(store: Store, qube: Qube, value: Value) -> None:
    if not value and clients(store, qube):
        raise ApiError(
            "QubesValueError",
            "it is still the netvm of another qube",
        )


def check_template(store: Store, qube: Qube, value: Value) -> None:
    """Raise unless a qube of this class, now halted, may be based on the named template."""
    if value is None:
        raise ApiError("QubesPropertyValueError", f"Invalid value for property of {qube.name}")
    template = store.get(str(value))
    if qube.klass == "AppVM" and template.klass != "TemplateVM":
        raise ApiError("QubesPropertyValueError", f"{value} is no TemplateVM")
    if qube.klass == "DispVM" and not get(store, template, "template_for_dispvms"):
        raise ApiError(
            "QubesPropertyValueError",
            f"{value} is no template for disposables",
        )
    if not qube.is_halted():
        raise not_halted(qube.name, "its template changes only while it is off")


def _check_positive(store: Store, qube: Qube, value: Value) -> None:
    if int(str(value)) <= 0:
        raise ApiError("QubesPropertyValueError", "value must be positive")


def _check_user(store: Store, qube: Qube, value: Value) -> None:
    if not re.fullmatch(r"[a-zA-Z0-9_\-+,.]*", str(value)):
        raise ApiError("QubesPropertyValueError", "no account has such a name")


def _check_mode(store: Store, qube: Qube, value: Value) -> None:
    if value not in ("hvm", "pv", "pvh"):
        raise ApiError("QubesPropertyValueError", f"no virt_mode is called {value}")


PROPERTIES: Mapping[str, Property] = {
    "name": Property("str", _ALL, lambda store, qube: qube.name, "once"),
    "uuid": Property("str", _ALL, lambda store, qube: qube.uuid, "once"),
    "qid": Property("int", _ALL, lambda store, qube: qube.qid, "once"),
    "klass": Property("str", _ALL, lambda store, qube: qube.klass, "forbidden"),
    "icon": Property("str", _ALL, _icon, "forbidden"),
    "label": Property("label", _ALL, _constant(UNSET)),
    "include_in_backups": Property(
        "bool", _ALL, lambda store, qube: not get(store, qube, "auto_cleanup")
    ),
    "default_dispvm": Property("vm", _ALL, _dispvm_default),
    "updateable": Property("bool", _ALL, lambda store, qube: qube.template is None, "forbidden"),
    "xid": Property("int", _VMS, lambda store, qube: qube.xid, "forbidden"),
    "start_time": Property("str", _VMS, lambda store, qube: qube.started, "forbidden"),
    "template": Property("vm", _BASED, _constant(UNSET), check=check_template, allow_none=False),
    "template_for_dispvms": Property("bool", _DVM, _constant(False)),
    "dispid": Property("int", _DISP, _constant(UNSET), "once"),
    "auto_cleanup": Property("bool", _DISP, _constant(False)),
    "netvm": Property("vm", _VMS, _netvm_default, check=_check_netvm),
    "provides_network": Property("bool", _VMS, _constant(False), check=_check_provides),
    "ip": Property("str", _VMS, address, "forbidden"),
    "visible_ip": Property("str", _VMS, address, "forbidden"),
    "mac": Property("str", _VMS, _constant(MAC), "forbidden"),
    "autostart": Property("bool", _VMS, _constant(False)),
    "debug": Property("bool", _VMS, _constant(False)),
    "installed_by_rpm": Property("bool", _VMS, _constant(False)),
    "backup_timestamp": Property("int", _VMS, _constant(UNSET)),
    "guivm": Property("vm", _VMS, _setting("default_guivm")),
    "audiovm": Property("vm", _VMS, _setting("default_audiovm")),
    "default_user": Property(
        "str", _VMS, _inherited("default_user", _constant("user")), check=_check_user
    ),
    "management_dispvm": Property(
        "vm", _VMS, _inherited("management_dispvm", _setting("management_dispvm"))
    ),
    "memory": Property("int", _VMS, _inherited("memory", _constant(400)), check=_check_positive),
    "maxmem": Property("int", _VMS, _inherited("maxmem", _constant(4000))),
    "vcpus": Property("int", _VMS, _inherited("vcpus", _constant(2)), check=_check_positive),
    "kernel": Property("str", _VMS, _inherited("kernel", _setting("default_kernel"))),
    "virt_mode": Property(
        "str", _VMS, _inherited("virt_mode", _constant("pvh")), check=_check_mode
    ),
    "qrexec_timeout": Property(
        "int",
        _VMS,
        _inherited("qrexec_timeout", _setting("default_qrexec_timeout")),
        check=_check_positive,
    ),
    "shutdown_timeout": Property(
        "int",
        _VMS,
        _inherited("shutdown_timeout", _setting("default_shutdown_timeout")),
        check=_check_positive,
    ),
}

def names(qube: Qube) -> Iterator[str]:
    """Iterate over the names of the properties that a qube of this class has."""
    return (name for name, item in PROPERTIES.items() if qube.klass in item.classes)


def definition(qube: Qube, name: str) -> Property:
    """Return the property; raise QubesNoSuchPropertyError."""
    item = PROPERTIES.get(name)
    if item is None or qube.klass not in item.classes:
        raise ApiError("QubesNoSuchPropertyError", f"{qube.name} has no property {name!r}")
    return item


def get(store: Store, qube: Qube, name: str) -> object:
    """Return the value, UNSET where there is none; a property of other classes is None."""
    item = PROPERTIES[name]
    if qube.klass not in item.classes:
        return None
    if name in qube.properties:
        return qube.properties[name]
    return item.default(store, qube)


def set_value(store: Store, qube: Qube, name: str, untrusted_value: bytes) -> None:
    """Set a property from a request; raise as qubesd does for a bad value."""
    item = definition(qube, name)
    value = parse(store, item.type, untrusted_value)
    _writable(qube, name, item)
    if value is None and item.type == "vm" and not item.allow_none:
        raise ApiError("QubesPropertyValueError", f"Invalid value '' for property {name!r}")
    if item.check is not None:
        item.check(store, qube, value)
    qube.properties[name] = value


def reset(store: Store, qube: Qube, name: str) -> None:
    """Return a property to its default; raise where that is not allowed."""
    item = definition(qube, name)
    if name == "template":
        raise ApiError("QubesValueError", "a qube with a template keeps one")
    _writable(qube, name, item)
    if name == "netvm":
        default = item.default(store, qube)
        _check_netvm(store, qube, default if isinstance(default, str) else None)
    qube.properties.pop(name, None)


def _writable(qube: Qube, name: str, item: Property) -> None:
    if item.access == "once" and qube.klass != "AdminVM":
        raise Refused
    if item.access != "set":
        raise ApiError("QubesPropertyValueError", f"property {name!r} cannot be set")
