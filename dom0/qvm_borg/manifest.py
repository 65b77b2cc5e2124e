"""What a qube is beside its files: a text that each backup keeps, and a qube made of it again.

Runs in dom0. The text is dom0's own, but it comes back out of a repository: then it is parsed as
anybody's, and gives no power. What it may hold and what of it is set is data: manifest.toml.
"""

import hashlib
import re
import shlex
from functools import cache

from qborg_wire import data, names
from qborg_wire.row import Role
from qvm_borg import firewall
from qvm_borg.errors import AdminError, filled
from qvm_borg.qubes import Qube, System
from qvm_borg.telling import refusal

NONE, LIMIT = "none", 15000  # characters; four times as many in a request of JSON
_DATA = data.beside(__file__)
_HEAD = {"class": "class ", "label": "label ", "template": "template ", "netvm": "property netvm="}
_MARK = f"x-qborg-{Role.CLIENT.value}"  # the feature of dom0 that names the qube being made
_ROOT = "x-qborg-root"  # the feature of such a qube that has its root

Manifest = tuple[tuple[str, str], ...]


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile("|".join(_DATA[name]))


def of(qube: Qube) -> str:
    """Answer a qube's manifest, a line for each thing that is not as by default; NONE if too long.

    What cannot stand in it is named in it.
    """
    found = [f"class {qube.property('klass')}"]
    for line in qube.admin("property.GetAll").split("\n")[:-1]:
        key, default, _type, value = line.split(" ", 3)
        if key in _HEAD or default == "default=False":
            found.append(f"{_HEAD.get(key, f'property {key}=')}{value}")
    found += [f"feature {key}={qube.feature(key)}" for key in qube.admin("feature.List").split()]
    found += [f"tag {key}" for key in qube.admin("tag.List").split()]
    if (bytes_now := _size(qube)) > 2 * 1024**3:  # as Qubes makes one
        found.append(f"volume private={bytes_now}")
    rules = [f"firewall {rule}" for rule in firewall.rules_of(qube)]
    strange = [rule for rule in rules if not _pattern("line").fullmatch(rule)]
    found += ["firewall none", *strange[:1]] if strange or not rules else rules
    text = "\n".join(line if _pattern("line").fullmatch(line) else "omitted " + re.sub(
        "[^a-zA-Z0-9_. -]", "_", line.partition("=")[0])[:100]
        for line in found if not _pattern("ignored").fullmatch(line))
    return text if len(text) <= LIMIT else NONE


def digest(text: str) -> str:
    """Answer what dom0 notes of a manifest."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def parse(untrusted_text: str, **chosen: str) -> Manifest:
    """Answer a manifest, with the template, label or netvm (or "") that a person chose instead.

    Raises NameRefused for whatever `of` does not write. NONE is one that knows next to nothing.
    """
    heads = {_HEAD[key]: value for key, value in chosen.items()}
    untrusted_lines = (_DATA["unknown"] if untrusted_text == NONE else untrusted_text).split("\n")
    untrusted_lines = [*(head + value for head, value in heads.items()),
                       *(line for line in untrusted_lines if not line.startswith(tuple(heads)))]
    names.parse(_pattern("once"), LIMIT + 100 * len(heads), "\n".join(untrusted_lines))
    found = [names.parse(_pattern("line"), 2500, untrusted) for untrusted in untrusted_lines]
    return tuple((kind, value) for kind, _space, value in (line.partition(" ") for line in found))


def lines(manifest: Manifest) -> list[str]:
    """Answer what a manifest says, for a person: what matters most is last, before the question."""
    told = [f"{kind}: {value}" for kind, value in manifest]
    return sorted(told, key=lambda line: bool(_pattern("last").match(line)))


def make(system: System, name: str, manifest: Manifest) -> tuple[Qube, list[str]]:
    """Make the qube, or go on with the one that a killed run began; `done` ends it.

    Answers also what is not set, for a person. Raises NameRefused, or QubeUnavailable,
    SettingsError or AdminError for what this computer does not have or Qubes refuses.
    """
    name, head = names.parse_qube(name), dict(manifest)
    check_free(system, name)
    template = system.template(head.get("template"))
    based = template.name if head["class"] == "AppVM" else None
    qube = system.create(Role.CLIENT, name, head["label"], based, klass=head["class"])
    # A root of its own, which no backup has; once, as a person may have installed something in it.
    if based is None and qube.feature(_ROOT) is None:
        qube.admin("volume.CloneTo", "root", template.admin("volume.CloneFrom", "root"))
        qube.set_feature(_ROOT, template.name)
    rules = [value for kind, value in manifest if kind == "firewall" and value != NONE]
    # Once: where they were refused, a person has opened it since for what it needs.
    asked = [("firewall", "=" + "".join(f"{rule}\n" for rule in rules))] * (
        "firewall" in head and firewall.rules_of(qube) in ([], ["action=accept"]))
    asked += [(kind, value) for kind, value in manifest if kind not in ("firewall", *_HEAD)]
    told = [_put(qube, kind, *value.partition("=")[::2]) for kind, value in asked]
    return qube, list(filter(None, told))


def _put(qube: Qube, kind: str, key: str, value: str) -> str:
    """Set what may be set; answers what a person should know of it, or nothing."""
    line = f"{kind} {key}={value}"
    if _pattern("ignored").fullmatch(line):
        return ""
    if not _pattern("set").fullmatch(line):
        return filled(_DATA["left"][kind], name=qube, key=key, value=shlex.quote(value))
    try:
        if kind == "volume":
            qube.admin("volume.Resize", key, str(max(_size(qube), int(value))))
        elif kind != "property" or str(qube.property(key) or "") != value:
            qube.admin(f"{kind}.Set", key, value)
    except AdminError as error:
        if f"{kind} {key}=" in _DATA["closed"]:
            qube.admin(f"{kind}.Set", key, "")
        return error.message
    return ""


def _size(qube: Qube) -> int:
    """Answer how large its private volume is, in bytes."""
    return int(qube.admin("volume.Info", "private").partition("\nsize=")[2].partition("\n")[0])


def check_free(system: System, name: str) -> None:
    """Raise SettingsError if another qube than that one is being made."""
    begun = (system.find("dom0").feature(_MARK) or "").partition(":")[2]
    if begun != name and begun in map(str, system.qubes()):
        raise refusal("qube-is-unfinished", qube=begun)


def is_begun(system: System, name: str) -> bool:
    """Tell whether the qube of that name is one that is being made."""
    return str(system.find("dom0").feature(_MARK)).endswith(f":{name}")


def done(system: System, name: str) -> None:
    """Have the qube that was made be an ordinary one: its enrolment has its first note."""
    if is_begun(system, name):
        system.find(name).remove_feature(_ROOT)
        system.find("dom0").remove_feature(_MARK)
