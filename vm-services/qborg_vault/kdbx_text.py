"""The XML that KeePassXC writes of a database: its entries, and what must stay as it was.

Runs in the vault. Knows the format, neither files nor records; all that it holds is secret.
"""

import base64
import binascii
import struct
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

# KeePassXC writes these anew by itself each time.
_RESTLESS_META = frozenset({"Generator", "HeaderHash", "Binaries"})
_RESTLESS_DATA = frozenset({"_LAST_MODIFIED", "KPXC_RANDOM_SLUG"})
_YEAR_1970 = 62135596800  # seconds since the year 1, from which KDBX 4 counts


class TextRefused(ValueError):
    """Bytes that are not the XML of a database. The message repeats nothing of them."""


@dataclass(frozen=True)
class Entry:
    """One entry: its element, the UUID of its group, whether that is in the recycle bin."""

    element: Element = field(repr=False)
    group: str
    recycled: bool

    @property
    def uuid(self) -> str:
        """Its UUID in base64."""
        return self.element.findtext("UUID", "")

    @property
    def strings(self) -> dict[str, str]:
        """Its fields: Title, UserName, Password, URL, Notes, and the user's own."""
        return {each.findtext("Key", ""): each.findtext("Value", "")
                for each in self.element.iterfind("String")}  # fmt: skip

    @property
    def files(self) -> frozenset[str]:
        """The names of its attachments."""
        return frozenset(each.findtext("Key", "") for each in self.element.iterfind("Binary"))


@dataclass(frozen=True)
class Group:
    """One group below the root: its element and whether it is in the recycle bin."""

    element: Element = field(repr=False)
    recycled: bool
    top: bool  # a child of the root

    @property
    def uuid(self) -> str:
        """Its UUID in base64."""
        return self.element.findtext("UUID", "")


@dataclass(frozen=True)
class Document:
    """A whole database as text, read by `parse`."""

    meta: Element = field(repr=False)
    root: Element = field(repr=False)
    deleted: dict[str, int] = field(repr=False)  # UUID -> seconds since 1970
    entries: tuple[Entry, ...] = field(repr=False)
    groups: tuple[Group, ...] = field(repr=False)

    @property
    def keeps_all_history(self) -> bool:
        """Whether there is no limit on the old versions of an entry."""
        return self.meta.findtext("HistoryMaxItems", "").startswith("-")

    def entry(self, uuid: str) -> Entry | None:
        """Answer the entry of that UUID, wherever it lies."""
        return next((each for each in self.entries if each.uuid == uuid), None)

    def others(self, ours: frozenset[str]) -> dict[str, object]:
        """Answer all that is not ours, by UUID, in a form in which the same is equal."""
        numbers: dict[str, str] = {}
        found: dict[str, object] = {f"meta {each.tag}": _plain(each, numbers) for each in self.meta
                 if each.tag not in _RESTLESS_META | {"CustomData"}}  # fmt: skip
        found |= {f"data {key}": value for key, value in self.custom_data().items()}
        entries = sorted(self.entries, key=lambda each: each.uuid)
        found |= {f"entry {each.uuid}": (each.group, _plain(each.element, numbers))
                  for each in entries if each.uuid not in ours}  # fmt: skip
        found |= {f"group {each.uuid}": _plain(_outline(each.element), numbers)
                  for each in self.groups if each.uuid not in ours}  # fmt: skip
        return found | {f"gone {uuid}": when for uuid, when in self.deleted.items()
                        if uuid not in ours}  # fmt: skip

    def custom_data(self) -> dict[str, str]:
        """Answer what plugins noted in the database."""
        found = {each.findtext("Key", ""): each.findtext("Value", "")
                 for each in self.meta.iterfind("CustomData/Item")}  # fmt: skip
        return {key: value for key, value in found.items() if key not in _RESTLESS_DATA}


def parse(xml: bytes) -> Document:
    """Answer the database that this XML says; raises TextRefused."""
    try:
        tree = ElementTree.fromstring(xml)
        meta, root = tree.find("Meta"), tree.find("Root/Group")
        if meta is None or root is None:
            raise TextRefused("no database in it")
        entries, groups = _walk(root, meta.findtext("RecycleBinUUID", ""))
        deleted = {each.findtext("UUID", ""): read_time(each.findtext("DeletionTime", ""))
                   for each in tree.iterfind("Root/DeletedObjects/DeletedObject")}  # fmt: skip
    except TextRefused:
        raise
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise TextRefused("no XML") from error
    return Document(meta, root, deleted, tuple(entries), tuple(groups))


def read_time(text: str) -> int:
    """Answer seconds since 1970 of a time as KDBX 4 or 3 spells it; raises TextRefused."""
    try:
        if text.endswith("Z"):
            return int(datetime.fromisoformat(text).timestamp())
        seconds: int = struct.unpack("<q", base64.b64decode(text, validate=True))[0]
    except (ValueError, binascii.Error, struct.error) as error:
        raise TextRefused("a time that is none") from error
    return seconds - _YEAR_1970


def write_time(seconds: int) -> str:
    """Answer how KDBX 4 spells a time; KeePassXC reads it in a KDBX 3 database too."""
    return base64.b64encode(struct.pack("<q", seconds + _YEAR_1970)).decode("ascii")


def _walk(root: Element, bin_uuid: str) -> tuple[list[Entry], list[Group]]:
    entries: list[Entry] = []
    groups: list[Group] = []
    waiting = [(root, False)]
    while waiting:
        group, recycled = waiting.pop()
        uuid = group.findtext("UUID", "")
        entries += (Entry(each, uuid, recycled) for each in group.iterfind("Entry"))
        for child in group.iterfind("Group"):
            gone = recycled or child.findtext("UUID", "") == bin_uuid
            groups.append(Group(child, gone, group is root))
            waiting.append((child, gone))
    return entries, groups


def _outline(group: Element) -> Element:
    """A group without what lies in it."""
    found = Element("Group")
    found.extend(each for each in group if each.tag not in ("Group", "Entry"))
    return found


def _plain(element: Element, numbers: dict[str, str]) -> object:
    """One element as values: what its text lays out, and not how it is indented.

    The numbers of attachments change, so they count in the order of sight.
    """
    attributes = dict(element.attrib)
    if "Ref" in attributes:
        attributes["Ref"] = numbers.setdefault(attributes["Ref"], str(len(numbers)))
    inner = [_plain(each, numbers) for each in element]
    return element.tag, attributes, inner or element.text or ""
