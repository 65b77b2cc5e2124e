"""What an export changes in a user's database: told first, then spelt for keepassxc-cli to merge.

Runs in the vault. Pure. A merge goes by UUID and time: ours are always the same and always newer.
"""

import base64
import copy
import secrets
from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import Enum
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from qborg_borg.recovery_record import RecordRefused, RecoveryRecord
from qborg_service.secret import Secret
from qborg_vault import kdbx_records
from qborg_vault.kdbx_records import FIELD, Content
from qborg_vault.kdbx_text import Document, Entry, Group, read_time, write_time

GROUP = "qubes-borg"
_USED = ("UserName", "URL", "Password", FIELD)  # title and notes may be the user's own words
_PROTECTED = frozenset({"Password", FIELD})
_PROTECT = {"ProtectInMemory": "True"}
_ICON = "66"  # a chest


class Change(Enum):
    """What becomes of a record's entry."""

    ADDED = "added"
    RENEWED = "renewed"
    SAME = "as it was"
    NEWER = "newer in the database, kept"


@dataclass(frozen=True)
class Step:
    """One record and what becomes of its entry."""

    record: RecoveryRecord
    change: Change

    @property
    def writes(self) -> bool:
        """Whether the database changes for it."""
        return self.change in (Change.ADDED, Change.RENEWED)


def plan(
    document: Document, records: Iterable[RecoveryRecord], superseded: Container[str] = ()
) -> tuple[Step, ...]:
    """Answer what becomes of each record's entry.

    `superseded`: the digests of what the records came after; of others the time decides.
    """
    return tuple(Step(each, _change(document, each, superseded))
                 for each in kdbx_records.in_order(records))  # fmt: skip


def group_of(document: Document) -> Group | None:
    """Answer our group: by its UUID wherever it lies, else a top one of that name."""
    uuid = kdbx_records.made_uuid(GROUP)
    named = [each for each in document.groups if each.uuid == uuid or (
        each.top and not each.recycled and each.element.findtext("Name") == GROUP)]  # fmt: skip
    return min(named, key=lambda each: each.uuid != uuid, default=None)


def spell(document: Document, steps: Iterable[Step], now: int) -> Secret:
    """Answer the XML of a database that holds only what changes, `now` in seconds since 1970."""
    tree = Element("KeePassFile")
    meta = SubElement(tree, "Meta")
    SubElement(meta, "Generator").text = "qubes-borg"
    # A merge takes away what other programs noted there if the merged database lacks it.
    meta.extend(copy.deepcopy(document.meta.findall("CustomIcons")))
    data = SubElement(meta, "CustomData")
    for key, value in document.custom_data().items():
        item = SubElement(data, "Item")
        SubElement(item, "Key").text, SubElement(item, "Value").text = key, value
    top = SubElement(SubElement(tree, "Root"), "Group")
    SubElement(top, "UUID").text = base64.b64encode(secrets.token_bytes(16)).decode("ascii")
    SubElement(top, "Name").text = GROUP
    _times(top, now)
    group = _group(top, group_of(document), now)
    group.extend(_entry(document, step.record, now) for step in steps if step.writes)
    return Secret(ElementTree.tostring(tree, encoding="utf-8", xml_declaration=True))


def _change(document: Document, record: RecoveryRecord, superseded: Container[str]) -> Change:
    entry = document.entry(kdbx_records.entry_uuid(record))
    if entry is None:
        return Change.ADDED
    try:
        held = kdbx_records.read(entry)
    except RecordRefused:
        held = None
    if held is not None and held.made > record.made and held.digest not in superseded:
        return Change.NEWER
    wanted = kdbx_records.content(record)
    strings = entry.strings
    same = all(strings.get(name) == wanted.fields[name] for name in _USED)
    whole = same and wanted.files.keys() <= entry.files and not entry.recycled
    return Change.SAME if whole else Change.RENEWED


def _group(parent: Element, known: Group | None, now: int) -> Element:
    """Our group; one that is known stays as its owner named it, and leaves the recycle bin."""
    group = SubElement(parent, "Group")
    if known is None:
        SubElement(group, "UUID").text = kdbx_records.made_uuid(GROUP)
        SubElement(group, "Name").text = GROUP
        SubElement(group, "IconID").text = _ICON
        _times(group, now)
    else:
        group.extend(copy.deepcopy([each for each in known.element
                                    if each.tag in ("UUID", "Name", "Notes", "IconID", "Times")]))
        if known.recycled:
            _renew(group, "Times/LocationChanged", now)
    return group


def _entry(document: Document, record: RecoveryRecord, now: int) -> Element:
    uuid = kdbx_records.entry_uuid(record)
    wanted, former = kdbx_records.content(record), document.entry(uuid)
    # An entry that is not newer than the one before, or than its deletion, would be lost.
    now = max(now, document.deleted.get(uuid, 0) + 1)
    if former is None:
        entry = Element("Entry")
        SubElement(entry, "UUID").text = uuid
        SubElement(entry, "IconID").text = _ICON
        _times(entry, now)
    else:
        entry = _without(former.element, "History", "Binary")
        _renew(entry, "Times/LastModificationTime", now)
        if former.recycled:
            _renew(entry, "Times/LocationChanged", now)
    _write(entry, wanted)
    if former is not None and document.keeps_all_history:
        _keep_history(entry, former)
    return entry


def _keep_history(entry: Element, former: Entry) -> None:
    """Bring the history along, less its attachments, where KeePassXC would drop it.

    Its merge counts up to the limit of the history, and so keeps none where there is no limit.
    """
    history = SubElement(entry, "History")
    for each in (*former.element.iterfind("History/Entry"), former.element):
        history.append(_without(each, "History", "Binary"))


def _write(entry: Element, wanted: Content) -> None:
    """Put our fields and attachments in; fields of the user's own stay."""
    for each in entry.findall("String"):
        if each.findtext("Key") in wanted.fields:
            entry.remove(each)
    for name, text in wanted.fields.items():
        string = SubElement(entry, "String")
        SubElement(string, "Key").text = name
        value = SubElement(string, "Value", _PROTECT if name in _PROTECTED else {})
        value.text = text
    for name, text in wanted.files.items():
        binary = SubElement(entry, "Binary")
        SubElement(binary, "Key").text = name
        data = base64.b64encode(text.encode("ascii")).decode("ascii")
        SubElement(binary, "Value").text = data


def _without(element: Element, *tags: str) -> Element:
    """A copy less the children of these tags."""
    copied = Element(element.tag, element.attrib)
    copied.extend(copy.deepcopy([each for each in element if each.tag not in tags]))
    return copied


def _times(element: Element, now: int) -> None:
    times = SubElement(element, "Times")
    for name in ("LastModificationTime", "CreationTime", "LastAccessTime", "ExpiryTime",
                 "LocationChanged"):  # fmt: skip
        SubElement(times, name).text = write_time(now)
    SubElement(times, "Expires").text = "False"
    SubElement(times, "UsageCount").text = "0"


def _renew(element: Element, path: str, now: int) -> None:
    """Set a time to now, or to later than it was: clocks differ, and so do two computers'."""
    found = element.find(path)
    if found is not None:
        found.text = write_time(max(now, read_time(found.text or "") + 1))
