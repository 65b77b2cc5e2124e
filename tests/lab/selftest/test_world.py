"""World files: what is read from them, and that every mistake is named."""

from __future__ import annotations

from typing import Any

import pytest

from lab import world
from lab.errors import LabError

QUBE = {"class": "AppVM", "label": "blue", "template": "debian-13"}
NET = {"provides_network": True}


def _data(**qubes: dict[str, Any]) -> dict[str, Any]:
    return {"templates": {"debian-13": {}}, "qubes": qubes}


@pytest.mark.parametrize("name", sorted(path.stem for path in world.WORLDS.glob("*.toml")))
def test_a_shipped_world_is_read(name: str) -> None:
    assert world.load(world.find(name)).qubes


def test_a_name_may_have_a_dot() -> None:
    assert world.parse(_data(**{"my.mail": QUBE}), "w").qubes[0].name == "my.mail"


def test_a_qube_gets_what_its_table_says() -> None:
    data = _data(net=QUBE | {"provides_network": True}, a=QUBE | {"netvm": "net", "tags": ["t"]})

    qube = world.parse(data, "w").qubes[1]

    assert (qube.name, qube.klass, qube.netvm, qube.tags) == ("a", "AppVM", "net", ("t",))
    assert not qube.running


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"servers": {}}, id="unknown table"),
        pytest.param({"server": {"hots": "a"}}, id="unknown key"),
        pytest.param({"server": {"quota_mb": "9"}}, id="wrong type"),
        pytest.param({"server": {"user": "x:y"}}, id="bad account"),
        pytest.param(_data(a=QUBE | {"template": "x"}), id="unknown template"),
        pytest.param(_data(a=QUBE | {"netvm": "x"}), id="unknown netvm"),
        pytest.param(_data(a=QUBE, b=QUBE | {"netvm": "a"}), id="netvm without network"),
        pytest.param(_data(a=QUBE | NET | {"netvm": "a"}), id="its own netvm"),
        pytest.param(
            _data(a=QUBE | NET | {"netvm": "b"}, b=QUBE | NET | {"netvm": "a"}), id="circle"
        ),
        pytest.param(_data(a=QUBE | {"features": {"a b": "1"}}), id="bad feature"),
        pytest.param(_data(a=QUBE | {"features": {"a": "1\n"}}), id="bad value"),
        pytest.param(_data(a=QUBE | {"features": {"a": True}}), id="value of another type"),
        pytest.param(_data(a=QUBE | {"tags": ["a.b"]}), id="bad tag"),
        pytest.param({"server": {"quota_mb": 0}}, id="no room at all"),
        pytest.param({"server": {"port": 0}}, id="no port"),
        pytest.param({"server": {"offers": "telnet"}}, id="unknown access"),
        pytest.param({"server": {"keys": "nobody"}}, id="unknown owner of the keys"),
        pytest.param({"server": {"address": "198.51.100.256"}}, id="bad address"),
        pytest.param(_data(**{"win-dm": QUBE}), id="name of a stub domain"),
        pytest.param(_data(a=QUBE | {"class": "AdminVM"}), id="bad class"),
        pytest.param(_data(a=QUBE | {"label": "pink"}), id="bad label"),
        pytest.param(_data(a={"class": "AppVM"}), id="key missing"),
        pytest.param(_data(dom0=QUBE), id="reserved name"),
        pytest.param(_data(**{"a b": QUBE}), id="bad name"),
        pytest.param(_data(**{"a" * 32: QUBE}), id="long name"),
        pytest.param(_data(**{"debian-13": QUBE}), id="name twice"),
        pytest.param(_data(a=QUBE | {"klass": "AppVM"}), id="inner name of class"),
        pytest.param(_data(d=QUBE | {"class": "DispVM"}), id="disposable of a template"),
    ],
)
def test_a_mistake_is_refused_with_a_hint(data: dict[str, Any]) -> None:
    with pytest.raises(LabError) as caught:
        world.parse(data, "w.toml")

    assert caught.value.status == 2
    assert str(caught.value).startswith("w.toml")
    assert caught.value.hint
