"""qvm-borg-status with real repositories: claims, the server's evidence, the record made anew."""

import json
import time
from typing import Any

from lab import Lab
from scenarios import crowd, person, state, thief

LAST = "/home/user/.local/state/qubes-borg/last.json"
STATUS = ("qvm-borg-status", "--json")


def _status(lab: Lab, code: int, *names: str) -> tuple[dict[str, Any], list[str]]:
    """Answer work's row and the names of its troubles; nothing is started or stopped for it."""
    power = {name: qube["state"] for name, qube in lab.qubes().items()}
    said = person.runs(lab, *STATUS, *names, code=code)
    assert {name: qube["state"] for name, qube in lab.qubes().items()} == power
    (row,) = json.loads(said[:said.rindex("}") + 1])["qubes"]
    return row, [each["name"] for each in row["troubles"]]


def _claims(lab: Lab, success: int) -> None:
    told = json.dumps({"success": success, "outcome": "ok"}).encode()
    lab.exec("work", ["dd", f"of={LAST}"], input=told, check=True)


def _asks_qubesd(lab: Lab, line: str) -> int:
    """Run a line about work with qubesadmin in dom0; answers the number that it prints, or 0."""
    code = f"import qubesadmin; qube = qubesadmin.Qubes().domains['work']; {line}"
    return int(lab.run(["python3", "-c", code], check=True).stdout or b"0")


def test_a_claim_stands_beside_the_servers_evidence(escrowed: Lab) -> None:
    row, troubles = _status(escrowed, 0)

    ours = f"{person.HOME}/repos/qubes-work"
    listed = escrowed.server.exec(["ls", f"{ours}/data/0"], check=True).stdout.split()
    held = escrowed.server.exec(
        ["sh", "-c", f"cat {ours}/data/0/* | wc -c"], check=True).stdout
    numbers = row["numbers"]
    assert troubles == [] and numbers["size"] == int(held) > numbers["grown"] > 0
    assert len(listed) > 4 and 0 <= numbers["server"] - numbers["claim"] < 3600
    assert abs(numbers["backup"] - numbers["server"]) < 3600

    _claims(escrowed, int(time.time()) + 2 * 86400)
    assert _status(escrowed, 27)[1] == ["claims-more"]
    assert "distrust the qube" in person.runs(escrowed, "qvm-borg-status", "--quiet", code=27)

    escrowed.do("shutdown", "borg-maintenance")
    row, troubles = _status(escrowed, 0, "work")
    assert troubles == [] and row["numbers"]["server"] is None and row["numbers"]["backup"] > 0


def test_a_dozen_repositories_are_seen_by_a_few_commands(escrowed: Lab) -> None:
    names = [f"q{number}" for number in range(12)]
    crowd.joins(escrowed, names)
    spoils = "cd $1/repos; rm -r qubes-q3; sed -i 's/^key = .*/key = bent/' qubes-q5/config"
    escrowed.server.exec(["/bin/sh", "-c", spoils, "-", person.HOME], check=True)
    escrowed.server.account.watch()

    said = person.runs(escrowed, *STATUS, code=27)

    assert len(escrowed.server.account.commands()) <= 6  # the one that holds the session among them
    rows = {row["qube"]: row for row in json.loads(said[:said.rindex("}") + 1])["qubes"]}
    troubles = {name: [each["name"] for each in row["troubles"]] for name, row in rows.items()}
    assert troubles == {**dict.fromkeys(["work", *names], []), "q3": ["missing"],
                        "q5": ["another-key"]}
    sizes = {row["numbers"]["size"] for row in rows.values()}
    assert len(sizes) == 2 and None in sizes and rows["q3"]["numbers"]["size"] is None
    escrowed.server.account.unwatch()


def test_deletions_stay_told_until_they_are_accepted_and_a_lost_record_is_rebuilt(
    escrowed: Lab,
) -> None:
    _status(escrowed, 0)
    archive = state.archives(escrowed)[0]
    assert thief.borg(escrowed, "delete", f"{thief.url(thief.OWN)}::{archive}").returncode == 0

    assert _status(escrowed, 27)[1] == ["deletions"] == _status(escrowed, 27)[1]

    before = state.noted(escrowed)
    _asks_qubesd(escrowed, "del qube.features['x-qborg']")
    person.runs(escrowed, "qvm-borg-status", "--resync", "work")
    after = state.noted(escrowed)
    assert {key: after["digests"][key] for key in ("bundle", "key", "record")} == {
        key: before["digests"][key] for key in ("bundle", "key", "record")}
    assert after["fingerprint"] == before["fingerprint"] and after["times"] == {"proved": "0"}
    assert "work: enrolled" in person.runs(escrowed, "qvm-borg-enroll", "work")

    assert _status(escrowed, 0)[1] == []
    noted = int(state.noted(escrowed)["times"]["backup"])
    assert _asks_qubesd(escrowed, "print(qube.backup_timestamp)") == noted
    assert "nothing was changed" in person.runs(escrowed, "qvm-borg-enroll", "work")
