"""The framing of a request: one JSON object with the nonce and the row's fixed keys.

Written by dom0, read by the frame of every service, whose qborg_service.request takes the JSON.
"""

import json
from collections.abc import Mapping, Sequence

from qborg_wire import names
from qborg_wire.row import Field, Service

Value = str | tuple[str, ...]
Values = Mapping[str, str | Sequence[str]]


class RequestRefused(ValueError):
    """Bytes that are not a request of this service. The message never repeats them."""


def format_request(service: Service, nonce: str, values: Values) -> bytes:
    """Answer the bytes of a request; raises ValueError if the service would refuse them."""
    payload = json.dumps({"nonce": nonce, **values}, separators=(",", ":")).encode("ascii")
    if len(payload) > service.limit:
        raise RequestRefused("the request is too long")
    parse_object(service, json.loads(payload))
    return payload


def parse_object(service: Service,
                 untrusted_object: dict[str, object]) -> tuple[str, dict[str, Value]]:
    """Answer the nonce and the values. Raises RequestRefused for anything but the row's shape."""
    if set(untrusted_object) != {"nonce", *(field.name for field in service.request)}:
        raise RequestRefused("other keys than this service takes")
    try:
        nonce = names.parse(names.NONCE, 32, untrusted_object["nonce"])
        values = {f.name: _value(f, untrusted_object[f.name]) for f in service.request}
    except names.NameRefused as error:
        raise RequestRefused("a value that does not match") from error
    return nonce, values


def _value(field: Field, untrusted_value: object) -> Value:
    if not field.many:
        return names.parse(field.pattern, field.limit, untrusted_value)
    if not isinstance(untrusted_value, list):
        raise names.NameRefused("not a list")
    return tuple(names.parse(field.pattern, field.limit, item) for item in untrusted_value)
