"""The firewall of the qubes: proposed by the set-up, and set when a person asks for it."""

import pytest

from lab import Lab
from scenarios import bent, person, state

SETUP, MAINTENANCE = "qvm-borg-setup", "borg-maintenance"
DNS = "action=accept specialtarget=dns comment=qubes-borg"
SERVER = "action=accept dsthost=backup.example proto=tcp dstports=22-22 comment=qubes-borg"
NOTHING_ELSE = "action=drop comment=qubes-borg"
_CLOSED = ["action=accept dst4=192.0.2.7/32 proto=tcp dstports=443-443 comment=my bank",
           "action=drop"]  # fmt: skip


def _rules(lab: Lab, qube: str) -> list[str]:
    """Answer the rules of a qube as qubesd tells them."""
    rules: list[str] = state.qubesd(lab)[qube]["firewall"]
    return rules


def _close(lab: Lab, qube: str) -> None:
    """Have rules of a person's own in a qube, which let nothing of ours through."""
    payload = "".join(f"{rule}\n" for rule in _CLOSED).encode()
    bent.in_dom0(
        lab, f"app.domains['{qube}'].qubesd_call(None, 'admin.vm.firewall.Set', None, {payload!r})")


def _enforces(lab: Lab) -> None:
    """Have the netvm tell that it enforces rules, as Qubes' templates do."""
    bent.in_dom0(lab, "app.domains['sys-firewall'].features['qubes-firewall'] = '1'")


def test_the_set_up_proposes_what_the_maintenance_qube_needs(ready: Lab) -> None:
    said = person.runs(ready, SETUP)

    assert f"`{SETUP} --firewall {MAINTENANCE}` leaves it DNS and {person.SERVER}" in said
    assert _rules(ready, MAINTENANCE) == ["action=accept"]


def test_rules_that_let_nothing_else_through_are_left_alone(ready: Lab) -> None:
    _close(ready, MAINTENANCE)

    assert "--firewall" not in person.runs(ready, SETUP)

    assert _rules(ready, MAINTENANCE) == _CLOSED


def test_the_maintenance_qube_reaches_the_server_alone(ready: Lab) -> None:
    _enforces(ready)
    for _again in range(2):
        said = person.runs(ready, SETUP, "--firewall", MAINTENANCE)

        assert f"{MAINTENANCE} reaches DNS and {person.SERVER}, and nothing else" in said
        assert _rules(ready, MAINTENANCE) == [DNS, SERVER, NOTHING_ELSE]
        assert "enforces" not in said and "nothing was changed" not in said
    assert "--firewall" not in person.runs(ready, SETUP)


def test_a_closed_one_is_opened_before_anything_is_asked_of_it(ready: Lab) -> None:
    """The server cannot be reached then, so the set-up ends there, with the rules in place."""
    _close(ready, MAINTENANCE)
    ready.server.stop_sshd()

    person.is_refused(ready, SETUP, "--firewall", MAINTENANCE, code=17, says="cannot be reached")

    assert _rules(ready, MAINTENANCE) == [DNS, SERVER, NOTHING_ELSE]
    ready.server.start_sshd()
    person.runs(ready, SETUP)


def test_a_netvm_that_enforces_nothing_is_told(ready: Lab) -> None:
    said = person.runs(ready, SETUP, "--firewall", MAINTENANCE)

    assert f"sys-firewall has not told that it enforces rules: have {MAINTENANCE} behind" in said


def test_a_qube_keeps_the_rules_that_it_had(ready: Lab) -> None:
    _close(ready, "work")

    for _again in range(2):
        said = person.runs(ready, SETUP, "--firewall", "work", "personal")

        assert f"work reaches DNS and {person.SERVER}, and what its own rules allow" in said
        assert "personal is let through to everything already" in said
        assert _rules(ready, "work") == [DNS, SERVER, *_CLOSED]
        assert _rules(ready, "personal") == ["action=accept"]
    assert _rules(ready, MAINTENANCE) == ["action=accept"]


@pytest.mark.parametrize(("name", "code", "says"), [
    ("nobody", 5, "no qube named nobody"), ("dom0", 2, "a name that Qubes reserves"),
    ("vault", 3, "vault has no netvm"), ("debian-13", 3, "debian-13 has no netvm"),
])  # fmt: skip
def test_one_that_has_no_firewall(ready: Lab, name: str, code: int, says: str) -> None:
    _close(ready, "work")
    person.runs(ready, SETUP)
    before = state.everything(ready)

    person.is_refused(ready, SETUP, "--firewall", "work", name, code=code, says=says)

    assert state.changes(before, state.everything(ready)) == []
    assert _rules(ready, "work") == _CLOSED


def test_a_host_in_capitals(ready: Lab) -> None:
    """qubesd takes none in a rule; a name of the network is the same in either."""
    settings = "/home/user/.config/qubes-borg/settings.toml"
    ready.run(["sed", "-i", "s/backup.example/Backup.Example/", settings], check=True)
    _close(ready, "work")

    ready.run([SETUP, "--firewall", "work"])  # which ends with what the maintenance qube was told

    assert _rules(ready, "work") == [DNS, SERVER, *_CLOSED]
