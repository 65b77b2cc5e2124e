"""The framing of a request: one JSON object with the nonce and the row's fixed keys.

Written by dom0, read by the frame of every service.
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
    parse_request(service, payload)
    return payload


def parse_request(service: Service, untrusted_payload: bytes) -> tuple[str, dict[str, Value]]:
    """Answer the nonce and the values. Raises RequestRefused for anything but the row's shape."""
    if len(untrusted_payload) > service.limit:
        raise RequestRefused("the request is too long")
    try:
        untrusted_object = json.loads(untrusted_payload.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise RequestRefused("the request is not JSON") from error
    if not isinstance(untrusted_object, dict):
        raise RequestRefused("the request is not an object")
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


def _unique(untrusted_pairs: list[tuple[str, object]]) -> dict[str, object]:
    untrusted_object = dict(untrusted_pairs)
    if len(untrusted_object) != len(untrusted_pairs):
        raise RequestRefused("a key stands twice")
    return untrusted_object
