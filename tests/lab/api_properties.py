"""Calls about properties of a qube or of the system, and about a qube's firewall.

Runs in the supervisor, behind `qubesd`. The lab keeps firewall rules and enforces none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab import firewall, properties, settings
from lab.api_call import Call, Method, lines
from lab.api_errors import Refused
from lab.store import enforce


def _serialise(kind: str, is_default: bool, value: object) -> str:
    known = "True" if value is settings.UNSET else str(is_default)
    return f"default={known} type={kind} {settings.wire_text(value)}"


def _all(names: list[str], one: Callable[[str], str]) -> str:
    escaped = ((name, one(name).replace("\\", "\\\\").replace("\n", "\\n")) for name in names)
    return lines(f"{name} {text}" for name, text in sorted(escaped))


def _qube_property(call: Call, name: str) -> str:
    item = properties.definition(call.target, name)
    value = properties.get(call.store, call.target, name)
    return _serialise(item.type, name not in call.target.properties, value)


def qube_list(call: Call) -> str:
    """Return the names of the properties of this qube."""
    return lines(properties.names(call.target))


def qube_get(call: Call) -> str:
    """Return whether it is the default, the type, and the value."""
    return _qube_property(call, call.untrusted_argument)


def qube_get_all(call: Call) -> str:
    """Return all properties, one per line."""
    return _all(list(properties.names(call.target)), lambda name: _qube_property(call, name))


def qube_get_default(call: Call) -> str:
    """Return type and default value, nothing where there is none."""
    item = properties.definition(call.target, call.untrusted_argument)
    value = item.default(call.store, call.target)
    return "" if value is settings.UNSET else f"type={item.type} {settings.wire_text(value)}"


def qube_help(call: Call) -> str:
    """Return some text; the lab has none to give."""
    properties.definition(call.target, call.untrusted_argument)
    return ""


def qube_set(call: Call) -> str:
    """Set a property."""
    properties.set_value(
        call.store, call.target, call.untrusted_argument, call.untrusted_payload
    )
    return ""


def qube_reset(call: Call) -> str:
    """Return a property to its default."""
    properties.reset(call.store, call.target, call.untrusted_argument)
    return ""


def _setting(call: Call, name: str) -> str:
    kind = settings.setting_type(name)
    value = settings.get_setting(call.store, name)
    return _serialise(kind, name not in call.store.settings, value)


def system_list(call: Call) -> str:
    """Return the names of the global properties."""
    return lines(settings.SETTINGS)


def system_get(call: Call) -> str:
    """Return whether it is the default, the type, and the value."""
    return _setting(call, call.untrusted_argument)


def system_get_all(call: Call) -> str:
    """Return all global properties, one per line."""
    return _all(list(settings.SETTINGS), lambda name: _setting(call, name))


def system_get_default(call: Call) -> str:
    """Return type and default value, nothing where there is none."""
    kind = settings.setting_type(call.untrusted_argument)
    value = settings.SETTINGS[call.untrusted_argument][1]
    return "" if value is settings.UNSET else f"type={kind} {settings.wire_text(value)}"


def system_set(call: Call) -> str:
    """Set a global property."""
    settings.set_setting(call.store, call.untrusted_argument, call.untrusted_payload)
    return ""


def system_reset(call: Call) -> str:
    """Return a global property to its default."""
    settings.setting_type(call.untrusted_argument)
    call.store.settings.pop(call.untrusted_argument, None)
    return ""


def firewall_get(call: Call) -> str:
    """Return the rules that have not expired."""
    enforce(call.target.klass != "AdminVM")
    return lines(firewall.in_force(call.target.firewall))


def firewall_set(call: Call) -> str:
    """Replace all rules; none at all drops everything."""
    enforce(call.target.klass != "AdminVM")
    try:
        untrusted_lines = call.untrusted_payload.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise Refused from error
    rules = [firewall.normal(untrusted_line) for untrusted_line in untrusted_lines]
    call.target.firewall = list(firewall.in_force(rules))
    return ""


def firewall_reload(call: Call) -> str:
    """Do nothing: no rule is enforced."""
    enforce(call.target.klass != "AdminVM")
    return ""


METHODS: Mapping[str, Method] = {
    "admin.vm.property.List": Method(qube_list),
    "admin.vm.property.Get": Method(qube_get, argument=True),
    "admin.vm.property.GetAll": Method(qube_get_all),
    "admin.vm.property.GetDefault": Method(qube_get_default, argument=True),
    "admin.vm.property.Help": Method(qube_help, argument=True),
    "admin.vm.property.Set": Method(qube_set, argument=True, payload=True),
    "admin.vm.property.Reset": Method(qube_reset, argument=True),
    "admin.property.List": Method(system_list, on_dom0=True),
    "admin.property.Get": Method(system_get, argument=True, on_dom0=True),
    "admin.property.GetAll": Method(system_get_all, on_dom0=True),
    "admin.property.GetDefault": Method(system_get_default, argument=True, on_dom0=True),
    "admin.property.Set": Method(system_set, argument=True, payload=True, on_dom0=True),
    "admin.property.Reset": Method(system_reset, argument=True, on_dom0=True),
    "admin.vm.firewall.Get": Method(firewall_get),
    "admin.vm.firewall.Set": Method(firewall_set, payload=True),
    "admin.vm.firewall.Reload": Method(firewall_reload),
}
