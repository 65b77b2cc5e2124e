"""A qube's manifest: lines that dom0 could have written, of one qube, or a refusal."""

from fuzz.target import Shape, Target, one_line
from fuzz.targets import samples
from qborg_wire.names import NameRefused
from qvm_borg import manifest

_KINDS = ("class", "label", "template", "property", "feature", "tag", "firewall", "omitted")
_LINE = 2500


def one(data: bytes) -> str:
    """Hold the parser to its contract for one text, as it is and with a person's choice."""
    text = data.decode("latin-1")
    found = _parsed(text)
    chosen = _parsed(text, label="red", netvm="")
    # What a person chooses replaces that line, so it makes good what was wrong with it alone.
    assert found is None or chosen is not None
    if chosen is not None:
        told = dict(chosen)
        assert told["label"] == "red" and ("property", "netvm=") in chosen
    if found is None:
        return "refused" if chosen is None else "refused, and good with a choice"
    again = "\n".join(f"{kind} {value}" for kind, value in found)
    assert manifest.NONE == text or again == text
    assert _parsed(again) == found
    return f"accepted, {'some' if len(found) > 2 else 'no'} lines more"


def _parsed(text: str, **chosen: str) -> manifest.Manifest | None:
    try:
        found = manifest.parse(text, **chosen)
    except NameRefused:
        return None
    kinds = [kind for kind, _value in found]
    assert set(kinds) <= set(_KINDS)
    assert kinds.count("class") == kinds.count("label") == 1 and kinds.count("template") <= 1
    assert sum(value.startswith("netvm=") for kind, value in found if kind == "property") <= 1
    assert all(one_line(line, _LINE) for line in manifest.lines(found))
    return found


_FULL = (
    b"class AppVM\nlabel purple\ntemplate debian-13\nproperty netvm=sys-firewall\n"
    b"property memory=500\nproperty default_dispvm=\nfeature service.cups=1\n"
    b"feature menu-items=a.desktop b.desktop\ntag bank\nomitted property kernelopts\n"
    b"firewall action=accept dst4=198.51.100.10/32 proto=tcp dstports=22-22 comment=mine\n"
    b"firewall action=drop"
)
TARGET = Target(
    "manifest", one, (_FULL, b"class StandaloneVM\nlabel red\nfirewall none", b"none"),
    (*samples.WORDS, *(f"\n{kind} ".encode() for kind in _KINDS), b"class AdminVM", b"dom0",
     b"netvm=", b"feature service.qborg-vault=1", b"\nproperty netvm=a", b"-dm", b"default",
     b"\r", b"\x1b[2J", b" expire=0", b" specialtarget=dns", b"=" * 300, b"\ntag x" * 400),
    Shape.LINES, manifest.LIMIT,
)  # fmt: skip
