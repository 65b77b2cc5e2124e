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
    call = f"app.domains['{qube}'].qubesd_call(None, 'admin.vm.firewall.Get')"
    return bent.in_dom0(lab, f"print({call}.decode())").strip().splitlines()


def _close(lab: Lab, qube: str) -> None:
    """Have rules of a person's own in a qube, which let nothing of ours through."""
    payload = "".join(f"{rule}\n" for rule in _CLOSED).encode()
    bent.in_dom0(
        lab, f"app.domains['{qube}'].qubesd_call(None, 'admin.vm.firewall.Set', None, {payload!r})")


def test_the_set_up_proposes_what_the_maintenance_qube_needs(ready: Lab) -> None:
    said = person.runs(ready, SETUP)

    assert f"`{SETUP} --firewall {MAINTENANCE}` leaves it DNS and {person.SERVER}" in said
    assert _rules(ready, MAINTENANCE) == ["action=accept"]


def test_the_maintenance_qube_reaches_the_server_alone(ready: Lab) -> None:
    for _again in range(2):
        said = person.runs(ready, SETUP, "--firewall", MAINTENANCE)

        assert f"{MAINTENANCE} reaches DNS and {person.SERVER}, and nothing else" in said
        assert _rules(ready, MAINTENANCE) == [DNS, SERVER, NOTHING_ELSE]
    assert "--firewall" not in person.runs(ready, SETUP)


def test_a_qube_keeps_the_rules_that_it_had(ready: Lab) -> None:
    _close(ready, "work")

    for _again in range(2):
        said = person.runs(ready, SETUP, "--firewall", "work", "personal")

        assert f"work reaches DNS and {person.SERVER}, whatever its other rules say" in said
        assert _rules(ready, "work") == [DNS, SERVER, *_CLOSED]
        assert _rules(ready, "personal") == [DNS, SERVER, "action=accept"]
    assert _rules(ready, MAINTENANCE) == ["action=accept"]


@pytest.mark.parametrize(("name", "code", "says"), [
    ("nobody", 5, "no qube named nobody"), ("dom0", 2, "a name that Qubes reserves"),
])  # fmt: skip
def test_one_that_has_no_firewall(ready: Lab, name: str, code: int, says: str) -> None:
    person.runs(ready, SETUP)
    before = state.everything(ready)

    person.is_refused(ready, SETUP, "--firewall", "work", name, code=code, says=says)

    assert state.changes(before, state.everything(ready)) == []
    assert _rules(ready, "work") == ["action=accept"]
