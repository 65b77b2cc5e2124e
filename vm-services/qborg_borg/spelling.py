"""The one spelling of a record: JSON in ASCII, keys sorted, no white space.

Shared by all that make or take a bundle or a recovery record: with one spelling the sha256 of the
bytes is the digest of what they say.
"""

import json


class SpellingRefused(ValueError):
    """Bytes that are no object in the one spelling. The message never repeats them."""


def spell(record: object) -> bytes:
    """Answer the bytes of a record."""
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode("ascii")


def read(untrusted_record: bytes, limit: int) -> dict[str, object]:
    """Answer the object, its values still untrusted; raises SpellingRefused."""
    if len(untrusted_record) > limit:
        raise SpellingRefused("it is too long")
    try:
        untrusted_object = json.loads(untrusted_record.decode("ascii"))
        spelling = spell(untrusted_object)
    except (ValueError, RecursionError) as error:
        raise SpellingRefused("it is not JSON in ASCII") from error
    if not isinstance(untrusted_object, dict):
        raise SpellingRefused("it is not an object")
    if spelling != untrusted_record:
        raise SpellingRefused("it is not in its one spelling")
    return untrusted_object
