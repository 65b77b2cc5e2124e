"""Global properties of the system, and how property values look on the wire.

Runs in the supervisor, on a `Store`; under `properties`, which holds those of qubes.
"""

from __future__ import annotations

import string
from collections.abc import Mapping

from lab.api_errors import ApiError
from lab.store import LABELS, Store, Value, check_name

UNSET = object()
TRUE_WORDS, FALSE_WORDS = ("1", "yes", "true", "on"), ("0", "no", "false", "off")

# Global properties: wire type and default.
SETTINGS: Mapping[str, tuple[str, object]] = {
    "default_template": ("vm", UNSET),
    "default_netvm": ("vm", None),
    "default_dispvm": ("vm", None),
    "management_dispvm": ("vm", None),
    "default_guivm": ("vm", "dom0"),
    "default_audiovm": ("vm", "dom0"),
    "updatevm": ("vm", None),
    "clockvm": ("vm", None),
    "default_kernel": ("str", ""),
    "default_pool": ("str", "varlibqubes"),
    "default_pool_private": ("str", "varlibqubes"),
    "default_pool_root": ("str", "varlibqubes"),
    "default_pool_volatile": ("str", "varlibqubes"),
    "default_pool_kernel": ("str", "linux-kernel"),
    "default_qrexec_timeout": ("int", 60),
    "default_shutdown_timeout": ("int", 60),
    "stats_interval": ("int", 3),
    "check_updates_vm": ("bool", True),
}


def get_setting(store: Store, name: str) -> object:
    """Return a global property, UNSET where there is none."""
    return store.settings.get(name, SETTINGS[name][1])


def set_setting(store: Store, name: str, untrusted_value: bytes) -> None:
    """Set a global property from a request."""
    kind = setting_type(name)
    value = parse(store, kind, untrusted_value)
    wrong = {
        "default_template": lambda qube: qube.klass != "TemplateVM",
        "default_netvm": lambda qube: not qube.properties.get("provides_network"),
    }.get(name)
    if wrong is not None and value is not None and wrong(store.get(str(value))):
        raise ApiError("QubesPropertyValueError", f"{value} cannot be {name}")
    store.settings[name] = value


def setting_type(name: str) -> str:
    """Return the wire type of a global property; raise QubesNoSuchPropertyError."""
    if name not in SETTINGS:
        raise ApiError("QubesNoSuchPropertyError", f"the system has no property {name!r}")
    return SETTINGS[name][0]


def parse(store: Store, kind: str, untrusted_value: bytes) -> Value:
    """Turn the payload of a Set call into a value of that wire type."""
    try:
        untrusted_text = untrusted_value.decode("ascii")
    except UnicodeDecodeError as error:
        raise ApiError("QubesValueError", "a property's value is ASCII") from error
    if kind == "vm":
        return _parse_qube(store, untrusted_text)
    if kind == "bool":
        if untrusted_text.lower() not in TRUE_WORDS + FALSE_WORDS:
            raise ApiError("QubesValueError", "neither a yes nor a no")
        return untrusted_text.lower() in TRUE_WORDS
    if kind == "int":
        try:
            return int(untrusted_text)
        except ValueError as error:
            raise ApiError("QubesValueError", "not a whole number") from error
    if not all(character in string.printable for character in untrusted_text):
        raise ApiError("QubesValueError", "a property's value is printable text")
    if kind == "label" and untrusted_text not in LABELS:
        raise ApiError("QubesLabelNotFoundError", f"there is no label {untrusted_text}")
    return untrusted_text


def _parse_qube(store: Store, untrusted_text: str) -> str | None:
    if untrusted_text == "":
        return None
    name = check_name(untrusted_text)
    if name not in store.qubes:
        raise ApiError("QubesPropertyValueError", f"there is no qube {name} to set it to")
    return name


def wire_text(value: object) -> str:
    """Write a value as it goes over the wire; None and UNSET are empty."""
    return "" if value is None or value is UNSET else str(value)
