"""Firewall rules as qubesd takes them and gives them back."""

from __future__ import annotations

from types import ModuleType

import pytest

from lab.selftest.system import System

NEW = b"0\0action=accept\n"
# What is set, and what is read back.
RULES = {
    "nothing": ("", ""),
    "drop": ("action=drop\n", "action=drop\n"),
    "without-an-end": ("action=drop", "action=drop\n"),
    "two": ("action=accept specialtarget=dns\naction=drop\n",
            "action=accept specialtarget=dns\naction=drop\n"),
    "one-port": ("action=accept proto=tcp dstports=22\n",
                 "action=accept proto=tcp dstports=22-22\n"),
    "order": ("dstports=1-65535 proto=udp dsthost=a.example action=accept\n",
              "action=accept dsthost=a.example proto=udp dstports=1-65535\n"),
    "address": ("action=drop dsthost=192.0.2.1\n", "action=drop dst4=192.0.2.1/32\n"),
    "network": ("action=drop dst4=192.0.2.0/24\n", "action=drop dst4=192.0.2.0/24\n"),
    "six": ("action=drop dsthost=2001:db8::1\n", "action=drop dst6=2001:db8::1/128\n"),
    "ping": ("action=drop proto=icmp icmptype=8\n", "action=drop proto=icmp icmptype=8\n"),
    "comment": ("action=drop comment=ask Ann: why\n", "action=drop comment=ask Ann: why\n"),
    "later": ("action=drop proto=tcp expire=9999999999\n",
              "action=drop expire=9999999999 proto=tcp\n"),
    "expired": ("action=drop\naction=accept expire=1\n", "action=drop\n"),
}  # fmt: skip
WRONG = {
    "empty-line": "action=drop\n\naction=accept\n",
    "no-action": "proto=tcp\n",
    "word": "action=accept now\n",
    "two-spaces": "action=accept  proto=tcp\n",
    "unknown-action": "action=reject\n",
    "unknown-option": "action=accept source=work\n",
    "twice": "action=accept action=drop\n",
    "two-hosts": "action=accept dst4=192.0.2.1 dsthost=a.example\n",
    "unknown-protocol": "action=accept proto=gre\n",
    "port-of-no-protocol": "action=accept dstports=22\n",
    "port-of-ping": "action=accept proto=icmp dstports=22\n",
    "type-of-tcp": "action=accept proto=tcp icmptype=8\n",
    "port": "action=accept proto=tcp dstports=65536\n",
    "ports-backwards": "action=accept proto=tcp dstports=23-22\n",
    "three-ports": "action=accept proto=tcp dstports=1-2-3\n",
    "type": "action=accept proto=icmp icmptype=256\n",
    "upper-case-host": "action=accept dsthost=A.example\n",
    "network-of-a-name": "action=accept dsthost=a.example/8\n",
    "length": "action=accept dst4=192.0.2.0/33\n",
    "two-lengths": "action=accept dst4=192.0.2.0/24/8\n",
    "target": "action=accept specialtarget=ntp\n",
    "expire": "action=accept expire=soon\n",
    "comment": "action=accept comment=a=b\n",
    "not-ascii": "action=accept comment=\u00e4\n",
}


@pytest.mark.parametrize(("rules", "kept"), RULES.values(), ids=RULES)
def test_rules_are_kept_as_qubesd_writes_them(system: System, rules: str, kept: str) -> None:
    """What was written is read, also by a qubesd that was started anew."""
    assert system.call("admin.vm.firewall.Get", "work") == NEW
    assert system.call("admin.vm.firewall.Set", "work", rules.encode()) == b"0\0"

    assert system.call("admin.vm.firewall.Get", "work") == b"0\0" + kept.encode()
    system.qubesd.store.loads(system.qubesd.snapshot())
    assert system.call("admin.vm.firewall.Get", "work") == b"0\0" + kept.encode()
    assert system.call("admin.vm.firewall.Get", "vault") == NEW


@pytest.mark.parametrize("rules", WRONG.values(), ids=WRONG)
def test_a_rule_that_is_none_is_not_answered_and_changes_nothing(
    system: System, rules: str
) -> None:
    """One wrong line is enough for all of them."""
    assert system.call("admin.vm.firewall.Set", "work", ("action=drop\n" + rules).encode()) == b""

    assert system.call("admin.vm.firewall.Get", "work") == NEW


def test_a_copy_and_a_disposable_have_the_rules_of_the_source(system: System) -> None:
    """A disposable has those of its template."""
    for name in ("work", "default-dvm"):
        system.call("admin.vm.firewall.Set", name, b"action=drop\n")

    system.qubesd.clone("work", "copy")
    made = system.call("admin.vm.CreateDisposable", "default-dvm").decode()[2:]

    for name in ("copy", made):
        assert system.call("admin.vm.firewall.Get", name) == b"0\0action=drop\n"


def test_clone_vm_copies_the_rules(qubesadmin: ModuleType, system: System) -> None:
    """So do the stand-in's and the genuine one."""
    system.call("admin.vm.firewall.Set", "work", b"action=drop\n")

    qubesadmin.app.QubesLocal().clone_vm("work", "copy", ignore_errors=True)

    assert system.call("admin.vm.firewall.Get", "copy") == b"0\0action=drop\n"
