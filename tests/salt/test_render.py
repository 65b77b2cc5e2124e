"""What real Salt, of the version that Qubes ships, makes of every state for both families."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from salt import cases

Data = cases.Data
TEMPLATES = [(state, qube) for state in cases.STATES if state != "enable" for qube in cases.SYSTEMS]


def family(qube: str) -> str:
    """Answer the family of a system."""
    return str(cases.SYSTEMS[qube]["os_family"])


def states(rendered: Data, name: str) -> dict[str, tuple[str, Data]]:
    """Answer the states of a case by id: the function as module.name, and its arguments."""
    found = {}
    for key, content in rendered["cases"][name].items():
        (module,) = (word for word in content if not word.startswith("__"))
        (function,) = (entry for entry in content[module] if isinstance(entry, str))
        arguments = {k: v for entry in content[module] if isinstance(entry, dict)
                     for k, v in entry.items() if k != "order"}  # fmt: skip
        found[key] = (f"{module}.{function}", arguments)
    return found


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a piece of data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.items() if isinstance(value, dict) else value:
            yield from texts(list(each) if isinstance(each, tuple) else each)


def test_salt_is_the_version_that_qubes_ships(rendered: Data) -> None:
    """So no feature can be newer than that."""
    assert rendered["version"] == "3007.13"


def test_every_case_is_rendered_to_states(rendered: Data) -> None:
    wrong = {name: told for name, told in rendered["cases"].items() if not isinstance(told, dict)}

    assert not wrong
    assert len(rendered["cases"]) > 40


def test_every_id_is_ours_and_tells_its_state(rendered: Data) -> None:
    for name, told in rendered["cases"].items():
        state = "install-client" if name.startswith("packages") else name.split()[0]
        begin = "qubes-borg-install-" if state == "init" else f"qubes-borg-{state}-"
        assert all(key.startswith(begin) for key in told), name


@pytest.mark.parametrize("qube", cases.SYSTEMS)
def test_the_state_of_all_is_each_role_and_no_more(rendered: Data, qube: str) -> None:
    of_roles = {key: told for role in cases.ROLES
                for key, told in states(rendered, f"install-{role} {qube}").items()}  # fmt: skip

    assert states(rendered, f"init {qube}") == of_roles


def test_every_source_lies_where_packages_lie(rendered: Data) -> None:
    """There is no other file in the tree that a state could ask for."""
    sources = {text for told in rendered["cases"].values() for text in texts(told)
               if "salt://" in text}  # fmt: skip

    assert sources
    assert all(text.startswith("salt://qubes-borg/packages/qubes-borg-") for text in sources)


@pytest.mark.parametrize(("state", "qube"), TEMPLATES)
def test_functions_are_those_that_we_know(rendered: Data, state: str, qube: str) -> None:
    known = {"pkg.installed", "pkg.purged", "service.enabled", "service.masked",
             "service.unmasked", "cmd.run"}  # fmt: skip
    found = states(rendered, f"{state} {qube}")

    assert {function for function, _arguments in found.values()} <= known


NEEDS = {
    ("client", "Debian"): {"borgbackup", "borgmatic", "cron", "openssh-client", "python3"},
    ("client", "RedHat"): {"borgbackup", "borgmatic", "cronie", "openssh-clients", "python3"},
    ("maintenance", "Debian"): {"borgbackup", "openssh-client", "python3", "python3-jinja2",
                                "python3-pexpect", "qubes-core-agent-networking"},
    ("maintenance", "RedHat"): {"borgbackup", "openssh-clients", "python3", "python3-jinja2",
                                "python3-pexpect", "qubes-core-agent-networking"},
    ("vault", "Debian"): {"openssh-client", "python3", "qrencode"},
    ("vault", "RedHat"): {"openssh-clients", "python3", "qrencode"},
    ("worker", "Debian"): {"borgbackup", "python3"},
    ("worker", "RedHat"): {"borgbackup", "python3"},
}  # fmt: skip


@pytest.mark.parametrize("role", cases.ROLES)
@pytest.mark.parametrize("qube", cases.SYSTEMS)
def test_packages_have_their_names_in_each_family(rendered: Data, role: str, qube: str) -> None:
    """All that a role needs is named: a minimal template has none of it."""
    found = states(rendered, f"install-{role} {qube}")
    function, needs = found[f"qubes-borg-install-{role}-needs"]
    ours_function, ours = found[f"qubes-borg-install-{role}-packages"]

    assert function == ours_function == "pkg.installed"
    assert set(needs["pkgs"]) == NEEDS[role, family(qube)]
    assert ours["pkgs"] == [f"qubes-borg-{role}", "qubes-borg-common"]
    assert ours["require"] == [{"pkg": f"qubes-borg-install-{role}-needs"}]
    for arguments in (needs, ours):  # neither family brings what is only recommended
        assert arguments["install_recommends"] is False
        assert arguments["setopt"] == "install_weak_deps=False"


@pytest.mark.parametrize("qube", cases.SYSTEMS)
def test_a_client_has_cron_and_not_borgmatics_own_timer(rendered: Data, qube: str) -> None:
    found = states(rendered, f"install-client {qube}").values()
    daemon = {"Debian": "cron", "RedHat": "crond"}[family(qube)]

    assert [each["name"] for function, each in found if function == "service.enabled"] == [daemon]
    assert [each["name"] for function, each in found if function == "service.masked"] == [
        "borgmatic.timer"]  # fmt: skip


@pytest.mark.parametrize("role", cases.ROLES)
def test_services_are_advertised_when_something_was_installed(rendered: Data, role: str) -> None:
    told = states(rendered, f"install-{role} fedora-44-minimal")
    function, arguments = told[f"qubes-borg-install-{role}-advertised"]

    assert function == "cmd.run"
    assert arguments["name"] == "/etc/qubes-rpc/qubes.PostInstall || true"
    assert len(arguments["onchanges"]) == 2 and set(arguments["onchanges"]) <= told.keys()


@pytest.mark.parametrize("qube", cases.SYSTEMS)
def test_remove_takes_our_packages_and_lets_the_timer_be(rendered: Data, qube: str) -> None:
    """What is purged are the packages that `install-…` brings, all of them and nothing else."""
    found = dict(states(rendered, f"remove {qube}").values())

    assert set(found["pkg.purged"]["pkgs"]) == {
        f"qubes-borg-{role}" for role in ("common", *cases.ROLES)}  # fmt: skip
    assert found["service.unmasked"] == {"name": "borgmatic.timer"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("install-client arch", "knows no packages for Arch; use Debian or Fedora"),
        ("install-client app", "nothing is installed in work (type app); use --skip-dom0"),
        ("install-client admin", "nothing is installed in dom0 (type admin); use --skip-dom0"),
        ("remove app", "nothing is removed from work (type app); use --skip-dom0"),
        ("remove admin", "nothing is removed from dom0 (type admin); use --skip-dom0"),
        ("packages half debian-13", "must hold one *.deb each of qubes-borg-client and"
                                    " qubes-borg-common; it holds qubes-borg-client"),
        ("packages twice debian-13", "it holds qubes-borg-client, qubes-borg-client, qubes-borg-c"),
        ("enable work", "this state is for dom0 alone"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_reason(rendered: Data, name: str, says: str) -> None:
    """One state that fails, and nothing that would be done."""
    ((function, arguments),) = states(rendered, name).values()

    assert function == "test.fail_without_changes"
    assert says in arguments["comment"]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("packages whole debian-13", ["client_1.0-1_all.deb", "common_1.0-1_all.deb"]),
        ("packages whole fedora-43", ["client-1.0-1.fc43.noarch.rpm",
                                      "common-1.0-1.fc43.noarch.rpm"]),
        ("packages other fedora-43", ["client-1.0-1.fc43.noarch.rpm",
                                      "common-1.0-1.fc43.noarch.rpm"]),
        ("packages other debian-13", []),  # only the other family's are there
        ("packages half fedora-43", []),
        ("packages foreign debian-13", []),  # qubes-borg-client-tools is not qubes-borg-client
    ],
)  # fmt: skip
def test_packages_in_the_tree_come_before_a_repository(
    rendered: Data, name: str, files: list[str]
) -> None:
    _function, arguments = states(rendered, name)["qubes-borg-install-client-packages"]
    sources = [path for entry in arguments.get("sources", []) for path in entry.values()]

    assert sorted(sources) == [f"salt://qubes-borg/packages/qubes-borg-{each}" for each in files]
    assert ("pkgs" in arguments) is not files


def test_only_what_is_enrolled_is_enabled(rendered: Data) -> None:
    """Not a copy, one that is half enrolled or leaving, or what only looks like an enrolled one."""
    found = states(rendered, "enable dom0").values()

    assert {function for function, _arguments in found} == {"qvm.service"}
    assert sorted(each["name"] for _function, each in found) == ["mail.2-x", "work", "yes"]
    assert all(each["enable"] == ["crond", "qborg-client"] for _function, each in found)


def test_without_an_enrolled_qube_nothing_is_enabled(rendered: Data) -> None:
    assert [function for function, _ in states(rendered, "enable nobody").values()] == [
        "test.succeed_without_changes"]  # fmt: skip


def test_the_services_enabled_are_those_of_an_enrolment(rendered: Data) -> None:
    """What the map says for dom0 is what dom0's own code does."""
    known = rendered["map"]["enrolled"]
    code = "".join((cases.ROOT / f"dom0/qvm_borg/{name}.py").read_text(encoding="utf-8")
                   for name in ("steps", "session", "record"))  # fmt: skip
    steps = re.findall(r'^    Step\("([a-z]+)"', code, re.MULTILINE)

    assert f'FEATURE = "{known["feature"]}"' in code
    assert all(f'"service.{service}"' in code for service in known["services"])
    assert known["steps"] == steps[steps.index("schedule"):]
