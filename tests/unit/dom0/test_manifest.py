"""A qube's manifest: made of what qubesd says, and made a qube of again, on the lab's qubesd.

With LAB_QUBESADMIN, through the genuine library too.
"""

import hashlib
from types import ModuleType

import pytest

from lab.selftest.conftest import fixture_qubesadmin, fixture_system  # noqa: F401
from lab.selftest.system import System as Lab
from qborg_wire.names import NameRefused
from qvm_borg import manifest, qubes
from qvm_borg.qubes import System

PLAIN = """\
class AppVM
label blue
property netvm=sys-firewall
template debian-13
feature x-note=a b
tag bank
firewall action=accept"""
# What a person gave the qube: how it is set, and whether it is set again without being asked.
GIVEN = {
    "property.Set+memory": ("600", "property memory=600", True),
    "property.Set+maxmem": ("0", "property maxmem=0", True),
    "property.Set+vcpus": ("1", "property vcpus=1", True),
    "property.Set+autostart": ("True", "property autostart=True", True),
    "property.Set+include_in_backups": ("False", "property include_in_backups=False", True),
    "property.Set+default_user": ("anna", "property default_user=anna", True),
    "property.Set+default_dispvm": ("", "property default_dispvm=", True),
    "property.Set+virt_mode": ("hvm", "property virt_mode=hvm", True),
    "property.Set+debug": ("True", "property debug=True", False),
    "property.Set+provides_network": ("True", "property provides_network=True", False),
    "property.Set+guivm": ("vault", "property guivm=vault", False),
    "property.Set+management_dispvm": ("default-dvm", "property management_dispvm=default-dvm",
                                       False),
    "feature.Set+service.cups": ("", "feature service.cups=", True),
    "volume.Resize+private": ("5368709120", "volume private=5368709120", True),
    "feature.Set+vm-config.words": ("a = \"b\" \\ 'c'", "feature vm-config.words=a = \"b\" \\ 'c'",
                                    True),
    "feature.Set+internal": ("1", "feature internal=1", False),
    "feature.Set+gui-allow-fullscreen": ("1", "feature gui-allow-fullscreen=1", False),
    "tag.Set+anon-vm": (None, "tag anon-vm", False),
}  # fmt: skip
RULES = ("action=accept specialtarget=dns\naction=accept dst4=192.0.2.0/24 proto=tcp "
         "dstports=22-22 comment=ask Ann: none\naction=drop\n")




@pytest.fixture(name="dom0")
def fixture_dom0(qubesadmin: ModuleType, monkeypatch: pytest.MonkeyPatch) -> System:
    """Answer the lab's qubes through the library; its exceptions are those that are caught."""
    monkeypatch.setattr(qubes, "QubesException", qubesadmin.exc.QubesException)
    return System(qubesadmin.app.QubesLocal())


def _given(system: Lab) -> None:
    """Give `work` all of GIVEN, and RULES."""
    for call, (value, _line, _is_set) in GIVEN.items():
        assert system.call(f"admin.vm.{call}", "work", (value or "").encode()) == b"0\0", call
    assert system.call("admin.vm.firewall.Set", "work", RULES.encode()) == b"0\0"


def _of(dom0: System, name: str) -> str:
    return manifest.of(dom0.find(name))


def test_a_plain_qube_is_told_in_a_few_lines(dom0: System) -> None:
    assert _of(dom0, "work") == PLAIN
    assert manifest.digest(PLAIN) == hashlib.sha256(PLAIN.encode()).hexdigest()


def test_a_qube_without_network_says_so(dom0: System) -> None:
    assert "property netvm=\n" in _of(dom0, "vault")


@pytest.mark.parametrize("call", GIVEN)
def test_what_a_person_gave_a_qube_is_in_it(dom0: System, system: Lab, call: str) -> None:
    value, line, _is_set = GIVEN[call]
    assert system.call(f"admin.vm.{call}", "work", (value or "").encode()) == b"0\0"

    assert line in _of(dom0, "work").split("\n")


OURS = {
    "feature.Set+service.crond": "",
    "feature.Set+x-qborg": '{"uuid":"1"}', "feature.Set+service.qborg-client": "1",
    "feature.Set+updates-available": "1", "tag.Set+guivm-other": None,
    "property.Set+backup_timestamp": "1700000000",
}


@pytest.mark.parametrize("call", OURS)
def test_what_is_ours_or_changes_by_itself_is_not_in_it(
    dom0: System, system: Lab, call: str
) -> None:
    assert system.call(f"admin.vm.{call}", "work", (OURS[call] or "").encode()) == b"0\0"

    assert _of(dom0, "work") == PLAIN


STRANGE = {
    "long-feature": ("feature.Set+x-long", "a" * 301, "omitted feature x-long"),
    "option-tag": ("tag.Set+-x", None, "omitted tag -x"),
    "long-name": ("feature.Set+" + "x" * 150, "1", "omitted feature " + "x" * 92),
}


@pytest.mark.parametrize(("call", "value", "line"), STRANGE.values(), ids=STRANGE)
def test_what_cannot_be_in_it_is_named_in_it(
    dom0: System, system: Lab, call: str, value: str | None, line: str
) -> None:
    assert system.call(f"admin.vm.{call}", "work", (value or "").encode()) == b"0\0"

    text = _of(dom0, "work")

    assert line in text.split("\n")
    assert ("omitted", line.removeprefix("omitted ")) in manifest.parse(text)


@pytest.mark.parametrize(("rules", "told"), [
    ("", ["firewall none"]),
    (RULES, [f"firewall {rule}" for rule in RULES.splitlines()]),
    ("action=drop\naction=accept comment=" + "a" * 201, [
        "firewall none", "omitted firewall action"]),
], ids=["none", "some", "one-too-long"])
def test_of_the_firewall_all_is_told_or_nothing_may_pass(
    dom0: System, system: Lab, rules: str, told: list[str]
) -> None:
    assert system.call("admin.vm.firewall.Set", "work", rules.encode()) == b"0\0"

    lines = _of(dom0, "work").split("\n")

    assert [line for line in lines if "firewall " in line] == told


def test_one_that_is_too_long_is_none(dom0: System, system: Lab) -> None:
    for number in range(120):
        system.call(f"admin.vm.feature.Set+x-{number}", "work", b"a" * 290)

    assert _of(dom0, "work") == manifest.NONE


def test_a_qube_is_made_again_as_it_was(dom0: System, system: Lab) -> None:
    _given(system)
    text = _of(dom0, "work")

    made, told = manifest.make(dom0, "again", manifest.parse(text))

    assert made.name == "again"
    left = {line for _value, line, is_set in GIVEN.values() if not is_set}
    left |= {"tag bank", "feature x-note=a b"}
    assert set(text.split("\n")) - set(_of(dom0, "again").split("\n")) == left
    assert len(told) == len(left)
    assert "left to you, as a policy may know it: `qvm-tags again add bank`" in told
    assert "left to you: `qvm-features again x-note 'a b'`" in told
    assert system.call("admin.vm.firewall.Get", "again") == b"0\0" + RULES.encode()


def test_what_a_person_chose_stands_instead(dom0: System) -> None:
    found = manifest.parse(PLAIN, label="green", netvm="", template="debian-13")

    made, _told = manifest.make(dom0, "again", found)

    assert (made.property("label"), made.property("netvm")) == ("green", None)
    assert "label: green" in manifest.lines(found) and "label: blue" not in manifest.lines(found)


def test_without_one_it_is_told_what_cannot_be_known(dom0: System) -> None:
    found = manifest.parse(manifest.NONE, netvm="sys-firewall")

    made, told = manifest.make(dom0, "again", found)

    assert told == ["not known, as the manifest does not hold it: everything else"]
    assert [made.property(name) for name in ("klass", "label", "template", "netvm")] == [
        "AppVM", "red", "debian-13", "sys-firewall"]


HOSTILE = {
    "empty": "", "flood": PLAIN + "\ntag a" * 6000, "none-and-more": "none\n" + PLAIN,
    "newline-at-the-end": PLAIN + "\n", "carriage-return": PLAIN.replace("\n", "\r\n"),
    "escape": PLAIN.replace("a b", "\x1b[31m"), "nul": PLAIN.replace("bank", "ba\0nk"),
    "not-ascii": PLAIN.replace("bank", "b\u00e4nk"), "kind": PLAIN + "\nrun reboot",
    "no-class": PLAIN.replace("class AppVM\n", ""), "no-label": PLAIN.replace("label blue\n", ""),
    "two-classes": PLAIN + "\nclass AppVM", "two-labels": PLAIN + "\nlabel red",
    "two-netvms": PLAIN + "\nproperty netvm=", "two-templates": PLAIN + "\ntemplate debian-13",
    "class-dom0": PLAIN.replace("AppVM", "AdminVM"), "class-dvm": PLAIN.replace("AppVM", "DispVM"),
    "label-is-a-path": PLAIN.replace("blue", "../blue"), "label-with-more": PLAIN.replace(
        "blue", "blue pool=x"), "template-dom0": PLAIN.replace("debian-13", "dom0"),
    "netvm-dom0": PLAIN.replace("sys-firewall", "dom0"), "netvm-Dom0": PLAIN.replace(
        "sys-firewall", "Dom0"), "netvm-dm": PLAIN.replace("sys-firewall", "work-dm"),
    "netvm-long": PLAIN.replace("sys-firewall", "a" * 32),
    "property-name": PLAIN + "\nproperty ../x=1", "property-backslash": PLAIN + "\nproperty x=\\",
    "feature-name": PLAIN + "\nfeature a b=1", "feature-long": PLAIN + "\nfeature a=" + "b" * 301,
    "tag-is-an-option": PLAIN + "\ntag --help", "tag-and-command": PLAIN + "\ntag a;reboot",
    "rule": PLAIN + "\nfirewall action=accept source=work", "rule-comment": PLAIN + (
        "\nfirewall action=accept comment=$(reboot)"), "omitted": PLAIN + "\nomitted `reboot`",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_text_that_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(NameRefused) as refused:
        manifest.parse(text)

    assert "reboot" not in str(refused.value)


@pytest.mark.parametrize("chosen", [
    {"template": "dom0"}, {"label": "a b"}, {"netvm": "x\ntag y"}, {"template": ""}], ids=str)
def test_a_choice_that_is_no_name_is_refused(chosen: dict[str, str]) -> None:
    with pytest.raises(NameRefused):
        manifest.parse(PLAIN, **chosen)
