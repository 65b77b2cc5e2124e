"""Calls about features, tags and notes of a qube.

Runs in the supervisor, behind `qubesd`. Value rules are qubesd's: a feature is printable ASCII
without newline, a tag has letters, digits, `_` and `-` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lab import properties
from lab.api_call import Call, Method, lines
from lab.api_errors import ApiError, Refused
from lab.qubesdb import (
    CONFIG_LENGTH,
    CONFIG_PREFIX,
    PERSIST_LENGTH,
    PERSIST_PREFIX,
    SERVICE_LENGTH,
    SERVICE_PREFIX,
)
from lab.store import Qube

PROHIBITED = (
    "deferred-netvm-original",
    "preload-dispvm",
    "preload-dispvm-completed",
    "preload-dispvm-in-progress",
)


def _not_found(call: Call) -> ApiError:
    return ApiError(
        "QubesFeatureNotFoundError",
        f"{call.target.name} has no feature {call.untrusted_argument}",
    )


def feature_list(call: Call) -> str:
    """Return the names of the features that are set."""
    return lines(call.target.features)


def feature_get(call: Call) -> str:
    """Return the value of one feature of this qube alone."""
    if call.untrusted_argument not in call.target.features:
        raise _not_found(call)
    return call.target.features[call.untrusted_argument]


def _along(call: Call, link: str) -> Iterator[Qube]:
    qube = call.target
    while True:
        yield qube
        following = properties.get(call.store, qube, link) if link else None
        if not isinstance(following, str):
            return
        qube = call.store.get(following)


def _check(link: str, with_dom0: bool) -> Method:
    def run(call: Call) -> str:
        places = list(_along(call, link))
        if with_dom0:
            places.append(call.store.get("dom0"))
        for place in places:
            if call.untrusted_argument in place.features:
                return place.features[call.untrusted_argument]
        raise _not_found(call)

    return Method(run, argument=True)


def check_feature(name: str, value: str) -> None:
    """Raise for a feature that the extensions of qubesd do not take."""
    if not re.fullmatch(r"[a-zA-Z0-9_.-]+", name):
        raise ApiError("QubesValueError", "a feature's name has letters, digits and _.- only")
    if not re.fullmatch(r"[\x20-\x7E]*", value):
        raise ApiError("QubesValueError", f"the value of {name} is not one line of ASCII")
    if name in PROHIBITED:
        raise Refused
    if name.startswith(SERVICE_PREFIX):
        service = name[len(SERVICE_PREFIX) :]
        if service in ("", ".", ".."):
            raise ApiError("QubesValueError", "this is no name for a service")
        if len(service) > SERVICE_LENGTH:
            raise ApiError("QubesValueError", f"{service} has more than {SERVICE_LENGTH} bytes")
    if name.startswith(CONFIG_PREFIX):
        config = name[len(CONFIG_PREFIX) :]
        if len(config) > CONFIG_LENGTH:
            raise ApiError("QubesValueError", f"{config} has more than {CONFIG_LENGTH} bytes")
        if not re.match(r"[a-zA-Z]", config):
            raise ApiError("QubesValueError", "a vm-config's name begins with a letter")
    if name.startswith(PERSIST_PREFIX):
        _check_persist(name[len(PERSIST_PREFIX) :], value)


def _check_persist(key: str, value: str) -> None:
    if not 0 < len(key) <= PERSIST_LENGTH:
        raise ApiError("QubesValueError", f"{key!r} is no key of custom-persist")
    if not value.startswith("/"):
        # The genuine one takes `dir:OWNER:GROUP:MODE:/PATH`, too.
        raise ApiError("QubesValueError", "the lab knows plain paths for custom-persist only")


def feature_set(call: Call) -> str:
    """Set one feature; a service or vm-config is seen in the qube at once."""
    try:
        untrusted_value = call.untrusted_payload.decode("ascii")
    except UnicodeDecodeError as error:
        raise Refused from error
    check_feature(call.untrusted_argument, untrusted_value)
    call.target.features[call.untrusted_argument] = untrusted_value
    call.system.feature_changed(call.target, call.untrusted_argument, untrusted_value)
    return ""


def feature_remove(call: Call) -> str:
    """Remove one feature."""
    if call.untrusted_argument in PROHIBITED:
        raise Refused
    if call.untrusted_argument not in call.target.features:
        raise _not_found(call)
    del call.target.features[call.untrusted_argument]
    call.system.feature_changed(call.target, call.untrusted_argument, None)
    return ""


def _tag(call: Call) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9_-]+", call.untrusted_argument):
        raise Refused
    return call.untrusted_argument


def tag_list(call: Call) -> str:
    """Return the tags, sorted."""
    return lines(sorted(call.target.tags))


def tag_get(call: Call) -> str:
    """Return 1 or 0."""
    return str(int(_tag(call) in call.target.tags))


def tag_set(call: Call) -> str:
    """Add a tag."""
    call.target.tags.add(_tag(call))
    return ""


def tag_remove(call: Call) -> str:
    """Remove a tag; raise QubesTagNotFoundError."""
    tag = _tag(call)
    if tag not in call.target.tags:
        raise ApiError(
            "QubesTagNotFoundError", f"{call.target.name} has no tag {tag}"
        )
    call.target.tags.remove(tag)
    return ""


def _no_dom0(call: Call) -> None:
    if call.target.name == "dom0":
        raise Refused


def notes_get(call: Call) -> str:
    """Return the notes."""
    _no_dom0(call)
    return call.target.notes


def notes_set(call: Call) -> str:
    """Replace the notes; UTF-8 text."""
    _no_dom0(call)
    try:
        call.target.notes = call.untrusted_payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused from error
    return ""


METHODS: Mapping[str, Method] = {
    "admin.vm.feature.List": Method(feature_list),
    "admin.vm.feature.Get": Method(feature_get, argument=True),
    "admin.vm.feature.CheckWithTemplate": _check("template", with_dom0=False),
    "admin.vm.feature.CheckWithNetvm": _check("netvm", with_dom0=False),
    "admin.vm.feature.CheckWithAdminVM": _check("", with_dom0=True),
    "admin.vm.feature.CheckWithTemplateAndAdminVM": _check("template", with_dom0=True),
    "admin.vm.feature.Set": Method(feature_set, argument=True, payload=True),
    "admin.vm.feature.Remove": Method(feature_remove, argument=True),
    "admin.vm.tag.List": Method(tag_list),
    "admin.vm.tag.Get": Method(tag_get, argument=True),
    "admin.vm.tag.Set": Method(tag_set, argument=True),
    "admin.vm.tag.Remove": Method(tag_remove, argument=True),
    "admin.vm.notes.Get": Method(notes_get),
    "admin.vm.notes.Set": Method(notes_set, payload=True),
}
