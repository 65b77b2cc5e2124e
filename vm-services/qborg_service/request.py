"""A request's bytes: JSON in which no key stands twice; what it says is for qborg_wire.request.

Runs in every qube with a service; pure. dom0 reads no requests and has none of this.
"""

import json

from qborg_wire.request import RequestRefused, Value, parse_object
from qborg_wire.row import Service


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
    return parse_object(service, untrusted_object)


def _unique(untrusted_pairs: list[tuple[str, object]]) -> dict[str, object]:
    untrusted_object = dict(untrusted_pairs)
    if len(untrusted_object) != len(untrusted_pairs):
        raise RequestRefused("a key stands twice")
    return untrusted_object
