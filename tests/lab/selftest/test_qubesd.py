"""The Admin API as bytes: listings, power states, disposables, faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import MachineError
from lab.fault_rules import Rule
from lab.faults import Faults
from lab.qubesd import Qubesd
from lab.selftest.system import System, failure


def test_list_has_class_state_and_uuid(system: System) -> None:
    """One line for each qube, dom0 first."""
    lines = system.call("admin.vm.List+", "dom0").decode()[2:].splitlines()

    assert lines[0] == (
        "dom0 class=AdminVM state=Running uuid=00000000-0000-0000-0000-000000000000"
    )
    assert [line.split()[0] for line in lines[1:]] == [
        "debian-13",
        "default-dvm",
        "sys-firewall",
        "vault",
        "work",
    ]


def test_destination_may_be_a_uuid(system: System) -> None:
    """A qube is found by `uuid:` and its uuid."""
    uuid = system.qubesd.store.get("work").uuid

    assert system.call("admin.vm.property.Get+name", f"uuid:{uuid}").endswith(b"type=str work")


def test_netvm_starts_first_and_stays_under_its_clients(system: System) -> None:
    """A net qube comes up before its client and does not go down before it."""
    assert system.call("admin.vm.Start", "work") == b"0\0"
    assert system.machines.steps == [("boot", "sys-firewall"), ("boot", "work")]

    assert failure(system.call("admin.vm.Shutdown+wait", "sys-firewall")) == "QubesVMInUseError"
    assert system.call("admin.vm.Shutdown+force+wait", "sys-firewall") == b"0\0"
    assert not system.machines.alive("sys-firewall")


def test_start_does_nothing_but_on_a_halted_qube(system: System) -> None:
    """In any other state it says success and leaves the qube as it is."""
    system.call("admin.vm.Start", "work")
    system.call("admin.vm.Pause", "work")
    system.machines.steps.clear()

    assert system.call("admin.vm.Start", "work") == b"0\0"
    assert system.machines.steps == []
    assert b"power_state=Paused" in system.call("admin.vm.CurrentState", "work")
    assert failure(system.call("admin.vm.Shutdown", "work")) == "QubesVMNotRunningError"


def test_prohibited_start_and_failing_boot_are_errors(system: System) -> None:
    """Both leave the qube halted."""
    system.call("admin.vm.feature.Set+prohibit-start", "vault", b"no")
    system.machines.broken.add("work")

    assert failure(system.call("admin.vm.Start", "vault")) == "QubesException"
    assert failure(system.call("admin.vm.Start", "work")) == "QubesException"
    assert b"power_state=Halted" in system.call("admin.vm.CurrentState", "work")


def test_shutdown_without_wait_returns_before_the_end(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The qube is still Running, then Transient; a start then does nothing."""
    seen = []

    def slow(name: str) -> None:
        seen.append(system.qubesd.store.get(name).state)
        system.machines._stop("shutdown", name)

    system.call("admin.vm.Start", "vault")
    monkeypatch.setattr(system.machines, "shutdown", slow)

    assert system.call("admin.vm.Shutdown", "vault") == b"0\0"
    assert b"power_state=Running" in system.call("admin.vm.CurrentState", "vault")
    assert system.call("admin.vm.Start", "vault") == b"0\0"
    assert system.call("admin.vm.Shutdown+wait", "vault") == b"0\0"
    assert seen == ["Transient"]
    assert b"power_state=Halted" in system.call("admin.vm.CurrentState", "vault")


def test_failed_stop_still_ends_halted(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is gone already does not leave its qube running."""

    def gone(name: str) -> None:
        raise MachineError(f"{name} is not running")

    system.call("admin.vm.Start", "vault")
    monkeypatch.setattr(system.machines, "kill", gone)

    assert system.call("admin.vm.Kill", "vault") == b"0\0"
    assert b"power_state=Halted" in system.call("admin.vm.CurrentState", "vault")


def test_running_qube_cannot_be_removed(system: System) -> None:
    """Neither before it is off, nor twice."""
    system.call("admin.vm.Start", "vault")
    assert failure(system.call("admin.vm.Remove", "vault")) == "QubesVMNotHaltedError"

    system.call("admin.vm.Kill", "vault")
    assert system.call("admin.vm.Remove", "vault") == b"0\0"
    assert failure(system.call("admin.vm.Remove", "vault")) == "QubesVMNotFoundError"


def test_disposable_takes_over_tags_and_features_and_vanishes(system: System) -> None:
    """It is made from its template's, and gone with its machine."""
    name = system.call("admin.vm.CreateDisposable", "default-dvm")[2:].decode()
    qube = system.qubesd.store.get(name)
    assert qube.tags >= {"inherited", "created-by-dom0", "disp-created-by-dom0"}
    assert qube.features["x-dvm"] == "yes"
    assert system.call("admin.vm.property.Get+auto_cleanup", name).endswith(b"True")

    system.call("admin.vm.Start", name)
    assert system.machines.up[name].clone_of == "default-dvm"
    assert system.machines.up[name].qubesdb["/qubes-vm-persistence"] == "none"
    system.call("admin.vm.Kill", name)

    assert failure(system.call("admin.vm.List", name)) == "QubesVMNotFoundError"
    assert ("remove", name) in system.machines.steps


def test_disposable_of_the_default_template_by_uuid(system: System) -> None:
    """dom0 as destination means its default_dispvm."""
    answer = system.call("admin.vm.CreateDisposable", "dom0", b"uuid")

    assert system.qubesd.store.find(answer[2:].decode()).template == "default-dvm"


def test_service_feature_is_seen_in_the_running_qube(system: System) -> None:
    """qubesdb follows at once; the services of the boot stay what they were."""
    system.call("admin.vm.Start", "work")
    database = system.machines.run_dir("work") / "qubesdb"
    assert (database / "%qubes-service%crond").read_text() == "1"

    system.call("admin.vm.feature.Set+service.crond", "work", b"")
    system.call("admin.vm.feature.Set+service.new", "work", b"yes")
    system.call("admin.vm.feature.Set+vm-config.a", "work", b"text")

    assert (database / "%qubes-service%crond").read_text() == "0"
    assert (database / "%qubes-service%new").read_text() == "1"
    assert (database / "%vm-config%a").read_text() == "text"
    assert system.machines.up["work"].services == {"crond": True}
    system.call("admin.vm.feature.Remove+service.new", "work")
    assert not (database / "%qubes-service%new").exists()


def test_revisions_follow_the_stops(system: System) -> None:
    """One more id for each stop, as many as are to be kept."""
    system.call("admin.vm.volume.Set.revisions_to_keep+private", "vault", b"2")
    for _ in range(3):
        system.call("admin.vm.Start", "vault")
        system.call("admin.vm.Kill", "vault")

    assert system.call("admin.vm.volume.ListSnapshots+private", "vault") == b"0\0002\n3\n"
    assert system.call("admin.vm.volume.ListSnapshots+volatile", "vault") == b"0\0"


def test_clone_is_a_copy_with_a_uuid_of_its_own(system: System) -> None:
    """Tags, features and what is kept come along."""
    system.qubesd.clone("work", "work-copy")

    old, new = system.qubesd.store.get("work"), system.qubesd.store.get("work-copy")
    assert new.uuid != old.uuid
    assert new.tags == old.tags
    assert new.features == old.features
    assert new.properties == old.properties
    assert ("copy_volume", "work:private work-copy") in system.machines.steps


def test_store_survives_and_restores(system: System, tmp_path: Path) -> None:
    """A second daemon reads what the first wrote; a restore takes back what came after."""
    before = system.qubesd.snapshot()
    system.call("admin.vm.feature.Set+x", "work", b"1")
    second = Qubesd(system.machines, tmp_path / "qubesd.json", tmp_path / "log", Faults())
    assert second.store.get("work").features["x"] == "1"

    system.qubesd.restore(before)

    assert failure(system.call("admin.vm.feature.Get+x", "work")) == "QubesFeatureNotFoundError"
    assert b"power_state=Running" in system.call("admin.vm.CurrentState", "dom0")


def test_template_reports_what_it_offers(system: System) -> None:
    """The report replaces the one before and is seen through the template."""
    system.qubesd.report_template("debian-13", ["a.B", "a.C"], ["cron"])
    system.qubesd.report_template("debian-13", ["a.B"], ["cron"])

    check = "admin.vm.feature.CheckWithTemplate+supported-rpc."
    assert system.call(check + "a.B", "work") == b"0\x001"
    assert failure(system.call(check + "a.C", "work")) == "QubesFeatureNotFoundError"


@pytest.mark.parametrize(
    ("action", "when", "answer", "done"),
    [
        ("refuse", "before", b"", False),
        ("refuse", "after", b"", True),
        ("error:QubesVMError", "before", b"2\0QubesVMError\0\0injected fault\0", False),
        ("delay:0.01", "before", b"0\0", True),
    ],
)
def test_fault_hits_the_call_it_names(
    system: System, action: str, when: str, answer: bytes, done: bool
) -> None:
    """The second call is hit, before or after it is done; the first and third are not."""
    system.faults.add(Rule("qubesd", "admin.vm.tag.Set+*", 2, when, action))

    answers = [system.call(f"admin.vm.tag.Set+t{n}", "work") for n in (1, 2, 3)]

    assert answers == [b"0\0", answer, b"0\0"]
    assert ("t2" in system.qubesd.store.get("work").tags) is done


def test_trace_tells_the_calls_in_order(system: System) -> None:
    """Each call is named as on the wire and counted among its like."""
    for _ in range(2):
        system.call("admin.vm.tag.Get+a", "work")

    assert [(entry.name, entry.target, entry.nth) for entry in system.faults.trace()] == [
        ("admin.vm.tag.Get+a", "work", 1),
        ("admin.vm.tag.Get+a", "work", 2),
    ]


def test_a_volume_grows_and_never_shrinks(system: System) -> None:
    assert system.call("admin.vm.volume.Resize+private", "work", b"5368709120") == b"0\0"
    assert b"\nsize=5368709120\n" in system.call("admin.vm.volume.Info+private", "work")
    for volume, size in (("private", b"5368709119"), ("kernel", b"5368709120")):
        refused = system.call(f"admin.vm.volume.Resize+{volume}", "work", size)
        assert refused.startswith(b"2\0StoragePoolException\0")
    assert b"\nsize=2147483648\n" in system.call("admin.vm.volume.Info+private", "vault")
