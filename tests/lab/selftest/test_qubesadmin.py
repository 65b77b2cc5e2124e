"""One table of what a client library must do, run against the stand-in and the genuine one.

Set LAB_QUBESADMIN to a checkout of qubes-core-admin-client for the second half.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from lab.selftest.system import System


@pytest.fixture(name="app")
def fixture_app(qubesadmin: ModuleType) -> Any:
    """Return the application object of the library under test."""
    return qubesadmin.app.QubesLocal()


def test_domains_is_a_sorted_collection(app: Any) -> None:
    """Iteration gives objects, keys give names, `in` takes both."""
    assert [vm.name for vm in app.domains] == sorted(app.domains.keys())
    assert "work" in app.domains
    assert app.domains["work"] in app.domains
    assert app.domains["work"] == "work"
    assert str(app.domains["work"]) == "work"
    assert app.domains.get("nobody") is None
    with pytest.raises(KeyError):
        app.domains["nobody"]


def test_list_is_cached_until_told_otherwise(app: Any, system: System) -> None:
    """A qube made by somebody else appears after clear_cache or refresh_cache."""
    assert "new" not in app.domains
    system.call("admin.vm.Create.AppVM", "dom0", b"name=new label=red")
    assert "new" not in app.domains

    app.domains.clear_cache()
    assert "new" in app.domains
    system.call("admin.vm.Remove", "new")
    app.domains.refresh_cache(force=True)
    assert "new" not in app.domains


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "work"),
        ("klass", "AppVM"),
        ("label", "blue"),
        ("template", "debian-13"),
        ("netvm", "sys-firewall"),
        ("qid", 3),
        ("xid", -1),
        ("memory", 400),
        ("qrexec_timeout", 60),
        ("default_user", "user"),
        ("autostart", False),
        ("provides_network", False),
        ("default_dispvm", "default-dvm"),
        ("updateable", False),
        ("include_in_backups", True),
    ],
)
def test_property_has_its_type(app: Any, name: str, value: object) -> None:
    """Numbers and truth values are what they are; qubes and labels compare by their text."""
    found = getattr(app.domains["work"], name)

    assert (found if isinstance(value, int) else str(found)) == value


def test_property_without_value(app: Any) -> None:
    """No net qube is None, no number is no attribute."""
    assert app.domains["vault"].netvm is None
    assert not hasattr(app.domains["vault"], "backup_timestamp")
    assert not hasattr(app.domains["vault"], "no_such_property")
    assert getattr(app.domains["debian-13"], "template", None) is None


def test_property_is_set_and_reset(app: Any, qubesadmin: ModuleType) -> None:
    """An object, None, a truth value and DEFAULT go over the wire as they should."""
    work = app.domains["work"]
    work.netvm = None
    work.autostart = True
    assert (work.netvm, work.autostart) == (None, True)
    work.netvm = app.domains["sys-firewall"]
    assert str(work.netvm) == "sys-firewall"
    assert not work.property_is_default("autostart")

    work.autostart = qubesadmin.DEFAULT
    del work.netvm

    assert work.property_is_default("autostart")
    assert work.property_get_default("netvm") == "sys-firewall"
    assert "autostart" in work.property_list()


def test_bad_property_values_raise(app: Any, qubesadmin: ModuleType) -> None:
    """Each fault has its class."""
    work = app.domains["work"]
    with pytest.raises(qubesadmin.exc.QubesPropertyValueError):
        work.memory = -1
    with pytest.raises(qubesadmin.exc.QubesNoSuchPropertyError):
        work.no_such_property = 1
    with pytest.raises(qubesadmin.exc.QubesPropertyAccessError):
        work.uuid = "x"
    with pytest.raises(ValueError):
        work.netvm = "vault"


def test_features_are_text(app: Any, qubesadmin: ModuleType) -> None:
    """Truth values have their own spelling, everything else is str()."""
    features = app.domains["work"].features
    for key, value in (("a", True), ("b", False), ("c", None), ("d", 0), ("e", "x y")):
        features[key] = value

    assert [features[key] for key in "abcde"] == ["1", "", "None", "0", "x y"]
    assert features.get("no") is None
    assert features.get("no", 7) == 7
    assert dict(features.items())["x-note"] == "a b"
    assert set("abcde") <= set(features)
    del features["a"]
    with pytest.raises(KeyError):
        features["a"]
    with pytest.raises(qubesadmin.exc.QubesFeatureNotFoundError):
        del features["a"]
    with pytest.raises(qubesadmin.exc.QubesFeatureNotFoundError):
        features.get("no", features.NO_DEFAULT)


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("a:b", "1", "QubesValueError"),
        ("a", "1\n", "QubesValueError"),
        ("a", "\u00e4", "QubesDaemonAccessError"),
        ("a b", "1", "QubesDaemonAccessError"),
    ],
)
def test_bad_features_raise(
    app: Any, qubesadmin: ModuleType, key: str, value: str, kind: str
) -> None:
    """Keys and values keep to qubesd's rules, whatever exception that gives."""
    with pytest.raises(getattr(qubesadmin.exc, kind)):
        app.domains["work"].features[key] = value


def test_feature_of_the_template(app: Any, system: System) -> None:
    """A feature is looked for in the template of the template, too."""
    system.qubesd.report_template("debian-13", ["qborg.Test"], [])
    name = app.qubesd_call("default-dvm", "admin.vm.CreateDisposable").decode()
    for qube in ("work", name):
        features = app.domains.get_blind(qube).features
        assert features.check_with_template("supported-rpc.qborg.Test") == "1"
        assert features.check_with_template("supported-rpc.qborg.No", "-") == "-"


def test_features_of_dom0(app: Any) -> None:
    """dom0 has features like any qube, and JSON fits in one."""
    app.domains["dom0"].features["x-json"] = '{"a":[1,2]}'

    assert app.domains["dom0"].features["x-json"] == '{"a":[1,2]}'


def test_tags_are_a_set(app: Any, qubesadmin: ModuleType) -> None:
    """Adding twice is once; removing twice is an error unless discarded."""
    tags = app.domains["work"].tags
    tags.update(["one", "two"], ["one"])

    assert {"bank", "created-by-dom0", "one", "two"} <= set(tags)
    assert "one" in tags
    tags.remove("one")
    tags.discard("one")
    assert "one" not in tags
    with pytest.raises(KeyError):
        tags.remove("one")
    with pytest.raises(qubesadmin.exc.QubesDaemonAccessError):
        tags.add("a.b")


def test_power_states(app: Any, qubesadmin: ModuleType) -> None:
    """The methods do what their names say, and refuse what the state does not allow."""
    work, net = app.domains["work"], app.domains["sys-firewall"]
    assert (work.get_power_state(), work.is_running()) == ("Halted", False)
    work.start()
    work.start()
    assert (work.get_power_state(), net.is_running(), work.xid > 0) == ("Running", True, True)

    with pytest.raises(qubesadmin.exc.QubesVMInUseError):
        net.shutdown()
    work.pause()
    assert (work.is_paused(), work.is_running(), work.is_halted()) == (True, True, False)
    work.unpause()
    with pytest.raises(qubesadmin.exc.QubesVMNotPausedError):
        work.unpause()
    work.shutdown(wait=True)
    assert work.is_halted()
    with pytest.raises(qubesadmin.exc.QubesVMNotStartedError):
        work.shutdown()
    net.kill()
    with pytest.raises(qubesadmin.exc.QubesVMNotStartedError):
        net.kill()
    assert app.domains.get_blind("nobody").get_power_state() == "NA"


def test_new_qube(app: Any, qubesadmin: ModuleType) -> None:
    """It has the default template and net qube, its maker's tag and a uuid."""
    vm = app.add_new_vm("AppVM", "maint", "purple")

    assert (vm.klass, str(vm.template), str(vm.label)) == ("AppVM", "debian-13", "purple")
    assert str(vm.netvm) == "sys-firewall"
    assert "created-by-dom0" in vm.tags
    assert len(str(vm.uuid)) == 36
    with pytest.raises(qubesadmin.exc.QubesValueError):
        app.add_new_vm("AppVM", "maint", "purple")
    with pytest.raises(ValueError):
        app.add_new_vm("AppVM", "has space", "purple")
    del app.domains["maint"]
    assert "maint" not in app.domains


def test_global_properties(app: Any) -> None:
    """They are attributes of the application."""
    assert app.default_template == "debian-13"
    assert app.default_netvm == "sys-firewall"
    app.default_netvm = None
    assert app.default_netvm is None
    assert "purple" in app.labels
    assert app.get_label("red").index == 1
    assert app.labels["red"].color == "0xcc0000"


def test_volumes(app: Any) -> None:
    """The private volume is kept, the root is not, and each stop leaves a revision."""
    vault = app.domains["vault"]
    private, root = vault.volumes["private"], vault.volumes["root"]
    assert (private.save_on_stop, root.save_on_stop, root.snap_on_start) == (True, False, True)
    assert private.revisions == []
    for _ in range(2):
        vault.start()
        vault.kill()

    assert private.revisions == ["2"]
    private.revisions_to_keep = 0
    assert (private.revisions_to_keep, private.revisions) == (0, [])
    assert private.size == 2 * 1024**3


def test_clone_of_a_volume(app: Any, system: System) -> None:
    """The token of the source is good for one copy."""
    app.domains["vault"].volumes["private"].clone(app.domains["work"].volumes["private"])

    assert system.machines.steps == [("copy_volume", "work:private vault")]


def test_copy_of_a_qube(app: Any, qubesadmin: ModuleType, system: System) -> None:
    """It has the tags, features, settings and files of the other, and a uuid of its own."""
    work = app.domains["work"]
    work.autostart = True
    with pytest.raises(qubesadmin.exc.QubesException):
        app.clone_vm(work, "copy")
    app.domains.clear_cache()
    assert "copy" not in app.domains
    system.machines.steps.clear()

    copy = app.clone_vm("work", "copy", ignore_errors=True)

    assert (set(copy.tags), dict(copy.features.items())) == (
        set(work.tags),
        dict(work.features.items()),
    )
    assert (copy.autostart, copy.netvm, copy.template) == (True, work.netvm, work.template)
    assert str(copy.uuid) != str(work.uuid)
    assert ("copy_volume", "work:private copy") in system.machines.steps


def test_disposable_has_uuid_and_class(app: Any) -> None:
    """It can be asked about as soon as it is made."""
    name = app.qubesd_call("default-dvm", "admin.vm.CreateDisposable").decode()
    app.domains.clear_cache()
    disposable = app.domains[name]

    assert (disposable.klass, disposable.auto_cleanup) == ("DispVM", True)
    assert len(str(disposable.uuid)) == 36
    disposable.start()
    disposable.kill()
    app.domains.clear_cache()
    assert name not in app.domains


# The genuine library leaves its socket to the garbage collector when it cannot connect.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_daemon_away(app: Any, qubesadmin: ModuleType) -> None:
    """Without a daemon every call is a communication error."""
    qubesadmin.config.QUBESD_SOCKET = "/nonexistent"

    with pytest.raises(qubesadmin.exc.QubesDaemonCommunicationError):
        app.domains.refresh_cache(force=True)
