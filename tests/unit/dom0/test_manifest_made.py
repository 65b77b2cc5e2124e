"""Whatever a manifest says: nobody else is touched, no power given, and a kill is gone on from."""

from types import ModuleType

import pytest

from lab.fault_rules import Rule
from lab.selftest.conftest import fixture_qubesadmin, fixture_system  # noqa: F401
from lab.selftest.system import System as Lab
from qborg_wire.names import NameRefused
from qvm_borg import errors, manifest
from qvm_borg.qubes import System
from unit.dom0.test_manifest import PLAIN, fixture_dom0  # noqa: F401

MARK = "x-qborg-client"


def _make(dom0: System, text: str, name: str = "again") -> list[str]:
    return manifest.make(dom0, name, manifest.parse(text))[1]


POWERS = {
    "role": ("feature service.qborg-vault=1", "admin.vm.feature.Get+service.qborg-vault"),
    "record": ("feature x-qborg={}", "admin.vm.feature.Get+x-qborg"),
    "internal": ("feature internal=1", "admin.vm.feature.Get+internal"),
    "full-screen": ("feature gui-allow-fullscreen=1", "admin.vm.feature.Get+gui-allow-fullscreen"),
    "tags-of-what-it-makes": ("feature tag-created-vm-with=a",
                              "admin.vm.feature.Get+tag-created-vm-with"),
    "network-for-others": ("property provides_network=True", None),
    "another-gui": ("property guivm=vault", None),
    "another-manager": ("property management_dispvm=default-dvm", None),
    "for-disposables": ("property template_for_dispvms=True", None),
    "paravirtual": ("property virt_mode=pv", None),
    "tag": ("tag anon-gateway", "admin.vm.tag.Get+anon-gateway"),
    "maker": ("tag created-by-sys-gui", "admin.vm.tag.Get+created-by-sys-gui"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "call"), POWERS.values(), ids=POWERS)
def test_no_line_gives_a_power(dom0: System, system: Lab, line: str, call: str | None) -> None:
    before = _make(dom0, PLAIN, "plain")
    manifest.done(dom0, "plain")
    told = _make(dom0, f"{PLAIN}\n{line}")

    if call is None:
        call = f"admin.vm.property.Get+{line.split(' ')[1].partition('=')[0]}"
    assert system.call(call, "again") == system.call(call, "plain").replace(b"plain", b"again")
    assert len(told) - len(before) == (0 if "qborg" in line or "created-by-" in line else 1)


NOWHERE = {
    "netvm-gone": ("sys-firewall", "sys-gone", "property.Get+netvm", b"default=False type=vm "),
    "netvm-gives-none": ("sys-firewall", "vault", "property.Get+netvm", b"default=False type=vm "),
    "dispvm-gone": ("tag bank", "property default_dispvm=gone", "property.Get+default_dispvm",
                    b"default=False type=vm "),
    "bad-rule": ("accept", "accept dstports=22", "firewall.Get", b""),
    "bad-address": ("accept", "accept dst4=192.0.2.0/99", "firewall.Get", b""),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "call", "is_now"), NOWHERE.values(), ids=NOWHERE)
def test_what_may_not_go_whither_it_went_goes_nowhere(
    dom0: System, system: Lab, old: str, new: str, call: str, is_now: bytes
) -> None:
    told = _make(dom0, PLAIN.replace(old, new))

    assert system.call(f"admin.vm.{call}", "again") == b"0\0" + is_now
    assert any(line.startswith("qubesd: ") for line in told)


def test_what_a_person_has_opened_since_is_not_closed_again(dom0: System, system: Lab) -> None:
    _make(dom0, PLAIN.replace("accept", "accept dst4=192.0.2.0/99"))
    system.call("admin.vm.firewall.Set", "again", b"action=accept specialtarget=dns\n")

    _make(dom0, PLAIN.replace("accept", "accept dst4=192.0.2.0/99"))

    found = system.call("admin.vm.firewall.Get", "again")
    assert found == b"0\0action=accept specialtarget=dns\n"


def test_a_setting_that_qubes_refuses_is_told_and_the_rest_is_set(
    dom0: System, system: Lab
) -> None:
    told = _make(dom0, PLAIN.replace("tag bank", "property vcpus=0\nproperty memory=700"))

    assert [line for line in told if "vcpus" in line] and not [x for x in told if "memory" in x]
    assert system.call("admin.vm.property.Get+memory", "again").endswith(b" 700")


REFUSED = {
    "label": ("label blue", "label mauve", errors.AdminError),
    "template-gone": ("debian-13", "debian-99", errors.QubeUnavailable),
    "template-is-a-qube": ("debian-13", "vault", errors.SettingsError),
    "template-of-a-standalone": (
        "AppVM\nlabel blue\nproperty netvm=sys-firewall\ntemplate debian-13",
        "StandaloneVM\nlabel blue\ntemplate vault", errors.SettingsError),
}


@pytest.mark.parametrize(("old", "new", "error"), REFUSED.values(), ids=REFUSED)
def test_what_this_computer_lacks_makes_no_qube(
    dom0: System, system: Lab, old: str, new: str, error: type[errors.QvmBorgError]
) -> None:
    with pytest.raises(error):
        _make(dom0, PLAIN.replace(old, new))

    assert b"again" not in system.call("admin.vm.List", "dom0")


@pytest.mark.parametrize("name", ["dom0", "none", "a b", "-again", "work-dm", "a" * 32])
def test_a_name_that_is_none_makes_no_qube(dom0: System, system: Lab, name: str) -> None:
    before = system.call("admin.vm.List", "dom0")

    with pytest.raises(NameRefused):
        _make(dom0, PLAIN, name)

    assert system.call("admin.vm.List", "dom0") == before


STANDALONE = PLAIN.replace("AppVM", "StandaloneVM").replace(
    "property netvm=sys-firewall\ntemplate debian-13\n", "property netvm=\n")


def test_a_standalone_has_the_root_of_its_template(dom0: System, system: Lab) -> None:
    _make(dom0, STANDALONE)

    copied = ("copy_volume", "debian-13:root again")
    assert copied in system.machines.steps
    assert "class StandaloneVM" in manifest.of(dom0.find("again"))

    system.machines.steps.clear()
    _make(dom0, STANDALONE)

    assert copied not in system.machines.steps, "what a person installed there would be lost"
    manifest.done(dom0, "again")
    assert dom0.find("again").feature("x-qborg-root") is None


def test_a_qube_that_is_somebody_elses_is_not_touched(dom0: System, system: Lab) -> None:
    before = system.qubesd.snapshot()

    with pytest.raises(errors.SettingsError, match="was not made by qubes-borg"):
        _make(dom0, PLAIN, "vault")

    assert system.qubesd.snapshot() == before


def test_one_that_is_done_is_somebodys(dom0: System, system: Lab) -> None:
    _make(dom0, PLAIN)
    manifest.done(dom0, "again")

    with pytest.raises(errors.SettingsError, match="was not made by qubes-borg"):
        _make(dom0, PLAIN)
    _make(dom0, PLAIN, "third")


def test_one_is_made_at_a_time(dom0: System, system: Lab, qubesadmin: ModuleType) -> None:
    _make(dom0, PLAIN)

    with pytest.raises(errors.SettingsError, match="again was begun and is not finished"):
        _make(dom0, PLAIN, "third")

    system.call("admin.vm.Remove", "again")
    _make(System(qubesadmin.app.QubesLocal()), PLAIN, "third")


# Each call that changes something, as it is made for LIMITED.
LIMITED = "\n".join((PLAIN.replace("=accept", "=drop").replace("sys-firewall", ""),
                     "property memory=700", "feature service.cups=1"))
CALLS = ("feature.Set+x-qborg-client", "Create.AppVM+debian-13", "firewall.Set+",
         "property.Set+netvm", "property.Set+memory", "feature.Set+service.cups")


def _is_cut(dom0: System) -> bool:
    try:
        return any("qubesd: " in line for line in _make(dom0, LIMITED))
    except errors.AdminError:
        return True


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_a_run_that_is_cut_is_gone_on_with(
    dom0: System, system: Lab, qubesadmin: ModuleType, call: str, when: str
) -> None:
    system.faults.add(Rule("qubesd", f"admin.vm.{call}", 0, when, "refuse"))
    assert _is_cut(dom0)
    system.faults.clear()
    later = System(qubesadmin.app.QubesLocal())

    told = _make(later, LIMITED)

    assert len(told) == 2 and all("left to you" in line for line in told)
    again = manifest.of(later.find("again"))
    assert set(LIMITED.split("\n")) - set(again.split("\n")) == {"feature x-note=a b", "tag bank"}
