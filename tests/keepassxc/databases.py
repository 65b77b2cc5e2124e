"""KeePassXC databases for the tests, made by the real keepassxc-cli, and looked into by it.

The owner's own entries are as mixed as they come: groups, unicode, attachments, history, a recycle
bin, an icon, what other programs noted. Key derivation is quick, so that tests are.
"""

import os
import random
import subprocess
from pathlib import Path

from qborg_service.secret import Secret
from qborg_vault import export
from qborg_vault.kdbx_text import Document, Entry
from qborg_vault.keepass import PROGRAM, Database, Key

MASTER = "Mäster »pass« wörd"
KEY = Key(Secret(MASTER.encode()))
PHOTO = random.Random(1).randbytes(20000)  # so that it does not compress
# Text that XML, a shell or a terminal could change.
ODD = "a <b> & \"c\" 'd'  é 漢\t\\n $(id)  "
ENTRIES = {
    "Banking & Büro/Größte Bank": ("anna", "geheim"),
    "Banking & Büro/Innen/dom-work": ("a name", "like one of ours"),
    "mail": ("user@example.org", "old"),
    "qubes-borg notes": ("", "x"),
}


def cli(*words: str, typed: str = MASTER, more: str = "", fds: tuple[int, ...] = ()) -> bytes:
    """Run keepassxc-cli with what is typed; answer what it printed. It must succeed."""
    done = subprocess.run(
        [PROGRAM, *words], input=f"{typed}\n{more}".encode(), capture_output=True, check=False,
        pass_fds=fds, env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def make(path: Path) -> None:
    """Make the owner's database."""
    path.unlink(missing_ok=True)
    cli("db-create", "-q", "-p", "-t", "100", str(path), more=f"{MASTER}\n")
    for group in ("Banking & Büro", "Banking & Büro/Innen"):
        cli("mkdir", "-q", str(path), group)
    for name, (user, password) in ENTRIES.items():
        cli("add", "-q", "-u", user, "--url", "https://bank.example/?a=1&b=2", "--notes", ODD, "-p",
            str(path), name, more=f"{password}\n")  # fmt: skip
    photo = path.with_name("photo.png")
    photo.write_bytes(PHOTO)
    cli("attachment-import", "-q", str(path), "mail", "Foto ü.png", str(photo))
    cli("attachment-import", "-q", str(path), "Banking & Büro/Größte Bank", "p", str(photo))
    photo.unlink()
    cli("edit", "-q", "-p", str(path), "mail", more="new\n")
    cli("add", "-q", str(path), "thrown away")
    cli("rm", "-q", str(path), "thrown away")
    cli("add", "-q", str(path), "gone for ever")
    for _twice in range(2):
        entry = "gone for ever" if _twice == 0 else "Recycle Bin/gone for ever"
        cli("rm", "-q", str(path), entry)


def make_of_xml(path: Path, xml: str) -> None:
    """Make a database of XML; keepassxc-cli gives it the format KDBX 3.1."""
    descriptor = os.memfd_create("xml")
    os.write(descriptor, xml.encode())
    cli("import", "-q", "-p", "-t", "100", f"/proc/self/fd/{descriptor}", str(path),
        more=f"{MASTER}\n", fds=(descriptor,))  # fmt: skip
    os.close(descriptor)


def look(path: Path, key: Key = KEY) -> Document:
    """Answer what a database holds."""
    return export.document(Database(path, key))


def entry(path: Path, title: str) -> Entry:
    """Answer the one entry of that title outside the group Innen."""
    document = look(path)
    inner = {each.uuid for each in document.groups if each.element.findtext("Name") == "Innen"}
    [found] = [each for each in document.entries
               if each.strings["Title"] == title and each.group not in inner]  # fmt: skip
    return found


def attachment(path: Path, name: str, attached: str) -> bytes:
    """Answer an attachment's bytes as keepassxc-cli gives them out."""
    return cli("attachment-export", "-q", "--stdout", str(path), name, attached)


def own(path: Path) -> dict[str, object]:
    """Answer all that is the owner's own, attachments with their bytes."""
    document = look(path)
    ours = frozenset(each.uuid for each in document.entries
                     if "qubes-borg record" in each.strings)  # fmt: skip
    ours |= {each.uuid for each in document.groups
             if each.element.findtext("Name") == "qubes-borg"}  # fmt: skip
    return document.others(ours) | {
        "photo": attachment(path, "mail", "Foto ü.png"),
        "bank": attachment(path, "Banking & Büro/Größte Bank", "p"),
    }


def groups(path: Path) -> dict[str, str]:
    """Answer title -> name of the group of every entry outside Innen."""
    document = look(path)
    named = {each.uuid: each.element.findtext("Name", "") for each in document.groups}
    return {each.strings["Title"]: named.get(each.group, "root") for each in document.entries
            if named.get(each.group) != "Innen"}  # fmt: skip
