"""The Admin API as bytes: what it does not answer, and what it answers with an error."""

from __future__ import annotations

import pytest

from lab.selftest.system import System, failure


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"admin.vm.List+ dom0 name dom0",
        b"admin.vm.List+ dom0 name\0",
        b"admin.vm.List+ dom0 vm dom0\0",
        b"admin.vm.List+ dom0 name dom0\0payload",
        b"admin.vm.List+argument dom0 name dom0\0",
        b"admin.vm.NoSuch+ dom0 name dom0\0",
        b"admin.Events+ dom0 name dom0\0",
        b"admin.vm.volume.Revert+private dom0 name work\0" + b"1",
        b"admin.vm.List+ work name dom0\0",
        b"admin.vm.tag.Set+a b dom0 name work\0",
        b"admin.vm.tag.Set+a.b dom0 name work\0",
        b"admin.vm.feature.Set+x dom0 name work\0\xc3\xa4",
        b"admin.vm.feature.Set+preload-dispvm dom0 name work\0x",
        b"admin.vm.feature.Set+x dom0 name work\0" + b"v" * 65536,
        b"admin.vm.property.Set+name dom0 name work\0other",
        b"admin.label.List+ dom0 name work\0",
        b"admin.vm.Create.AppVM+ dom0 name dom0\0name=a",
        b"admin.vm.Create.AppVM+ dom0 name dom0\0name=a label=red name=b",
        b"admin.vm.Create.AppVM+ dom0 name dom0\0name=a label=6",
        b"admin.vm.Create.AppVM+ dom0 name dom0\0name=a label=red pool=x",
        b"admin.vm.volume.Set.revisions_to_keep+private dom0 name work\0" + b"01",
        b"admin.vm.volume.Resize+private dom0 name work\0" + b"05368709120",
        b"admin.vm.volume.Resize+private dom0 name work\0" + b"-1",
        b"admin.vm.volume.Resize+private dom0 name dom0\0" + b"5368709120",
        b"admin.vm.volume.CloneTo+private dom0 name work\0token",
        b"admin.vm.Shutdown+now dom0 name work\0",
        b"admin.vm.firewall.Get+ dom0 name dom0\0",
        b"admin.vm.firewall.Set+ dom0 name dom0\0action=drop\n",
        b"admin.vm.firewall.Reload+ dom0 name dom0\0",
        b"admin.vm.firewall.Set+all dom0 name work\0action=drop\n",
    ],
)
def test_ill_formed_call_is_not_answered(system: System, request_bytes: bytes) -> None:
    """The empty answer stands for everything that qubesd does not want to talk about."""
    assert system.raw(request_bytes) == b""


@pytest.mark.parametrize(
    ("call", "target", "payload", "kind"),
    [
        ("admin.vm.List", "nobody", b"", "QubesVMNotFoundError"),
        ("admin.vm.NoSuch", "nobody", b"", "QubesVMNotFoundError"),
        ("admin.vm.List", "uuid:zz", b"", "QubesVMInvalidUUIDError"),
        ("admin.vm.List", "1a", b"", "QubesValueError"),
        ("admin.vm.List", "a" * 32, b"", "QubesValueError"),
        ("admin.vm.feature.Get+no", "work", b"", "QubesFeatureNotFoundError"),
        ("admin.vm.feature.Remove+no", "work", b"", "QubesFeatureNotFoundError"),
        ("admin.vm.feature.Set+a:b", "work", b"1", "QubesValueError"),
        ("admin.vm.feature.Set+a", "work", b"line\n", "QubesValueError"),
        ("admin.vm.feature.Set+service.", "work", b"1", "QubesValueError"),
        ("admin.vm.feature.Set+service." + "s" * 49, "work", b"1", "QubesValueError"),
        ("admin.vm.feature.Set+vm-config.1", "work", b"1", "QubesValueError"),
        ("admin.vm.tag.Remove+no", "work", b"", "QubesTagNotFoundError"),
        ("admin.vm.property.Get+nosuch", "work", b"", "QubesNoSuchPropertyError"),
        ("admin.vm.property.Get+template", "dom0", b"", "QubesNoSuchPropertyError"),
        ("admin.vm.property.Set+autostart", "work", b"perhaps", "QubesValueError"),
        ("admin.vm.property.Set+memory", "work", b"much", "QubesValueError"),
        ("admin.vm.property.Set+memory", "work", b"0", "QubesPropertyValueError"),
        ("admin.vm.property.Set+netvm", "work", b"vault", "QubesValueError"),
        ("admin.vm.property.Set+netvm", "work", b"nobody", "QubesPropertyValueError"),
        ("admin.vm.property.Set+netvm", "sys-firewall", b"sys-firewall", "QubesValueError"),
        ("admin.vm.property.Set+template", "work", b"vault", "QubesPropertyValueError"),
        ("admin.vm.property.Set+template", "work", b"", "QubesPropertyValueError"),
        ("admin.vm.property.Set+klass", "work", b"DispVM", "QubesPropertyValueError"),
        ("admin.vm.property.Set+label", "work", b"pink", "QubesLabelNotFoundError"),
        ("admin.vm.property.Reset+template", "work", b"", "QubesValueError"),
        ("admin.vm.Create.AppVM", "dom0", b"name=work label=red", "QubesValueError"),
        ("admin.vm.Create.AppVM+nobody", "dom0", b"name=a label=red", "QubesVMNotFoundError"),
        ("admin.vm.Create.AppVM+vault", "dom0", b"name=a label=red", "QubesPropertyValueError"),
        ("admin.vm.Create.TemplateVM+debian-13", "dom0", b"name=a label=red", "QubesValueError"),
        ("admin.vm.Create.AppVM", "dom0", b"name=a label=pink", "QubesLabelNotFoundError"),
        ("admin.vm.CreateDisposable", "work", b"", "QubesException"),
        ("admin.vm.Remove", "debian-13", b"", "QubesVMInUseError"),
        ("admin.vm.Remove", "sys-firewall", b"", "QubesVMInUseError"),
        ("admin.vm.Remove", "dom0", b"", "QubesVMInUseError"),
        ("admin.vm.Start", "dom0", b"", "QubesVMNotHaltedError"),
        ("admin.vm.Kill", "dom0", b"", "QubesVMError"),
        ("admin.vm.Kill", "work", b"", "QubesVMNotStartedError"),
        ("admin.vm.Shutdown", "work", b"", "QubesVMNotStartedError"),
        ("admin.vm.Pause", "work", b"", "QubesVMNotRunningError"),
        ("admin.vm.Unpause", "work", b"", "QubesVMNotPausedError"),
    ],
)
def test_refusal_names_its_exception(
    system: System, call: str, target: str, payload: bytes, kind: str
) -> None:
    """Each wrong call is answered by the exception that qubesd has for it."""
    assert failure(system.call(call, target, payload)) == kind
