"""Running a row of the table of kills, and what must be so afterwards."""

import json
import re
import time
from dataclasses import dataclass
from typing import Any

from lab import Lab
from scenarios import kills, person, state, typist
from scenarios.kills import Call, Row, Seen

ENROL = ("qvm-borg-enroll", "work")
ROTATE = ("qvm-borg-rotate", "work")
KEEPER, VAULT, WORKER = "borg-maintenance", "vault", "borg-worker"
SIGKILL = 137
_STATE = "/home/user/.local/share/qubes-borg"
# A client's secrets, first where the keyholder has them, then where it has delivered them to.
_PLACES = ((KEEPER, f"{_STATE}/host-keys/qubes-work"), ("work", "/home/user/.ssh/backups"))
# What a birth that was cut has left; whether there was time for any is chance.
_CUT = re.compile(r"/repos/qubes-work\.unfinished-[0-9]+(/|$)")
_NEXT = "/home/user/.ssh/backups.d/next"
_SECRETS = ("borgpass", "qubes-work.openssh")


@dataclass(frozen=True)
class Undisturbed:
    """A clean run: its calls, and the end that every other way must reach."""

    calls: dict[Call, Seen]
    end: dict[str, Any]


def end(lab: Lab) -> dict[str, Any]:
    """What must be the same after any way to the end: no key, digest, uuid or time is in it."""
    knows = state.qubesd(lab)
    for qube in knows.values():
        # Whoever started it may have been killed, and no later run stops what it has not started.
        if {"service.qborg-maintenance", "service.qborg-vault"} & set(qube["features"]):
            del qube["uuid"], qube["power"]
    roles = [knows["dom0"]["features"].pop(f"x-qborg-{role}", "")
             for role in ("maintenance", "vault", "worker")]
    kept = state.files(lab, KEEPER, "/rw/home/user")
    server = state.files(lab, "server", person.HOME)
    keys = lab.server.exec(["cat", f"{person.HOME}/{person.KEYS}"], check=True).stdout
    dom0 = state.files(lab, "dom0", "/home/user", "/etc/qubes")
    return {
        "qubesd": knows,
        "roles": [re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", role) for role in roles],
        "dom0": {path: about[:3] for path, about in dom0.items()},
        "maintenance": {path: about[:3] for path, about in kept.items()},
        "server": {path: about[:3] for path, about in server.items() if "/data/" not in path
                   and not re.search(r"/(hints|index|integrity)\.[0-9]+$", path)
                   and not _CUT.search(path)},
        "lines": [re.sub(rb"AAAA\S+|epoch=[0-9]+|id=[0-9a-f]{32}", b"", line)
                  for line in keys.splitlines()],
        "gates": state.gates(lab),
    }  # fmt: skip


def _enrolled(lab: Lab) -> dict[str, Any]:
    found = end(lab)
    note = json.loads(found["qubesd"]["work"]["features"].pop("x-qborg"))
    client = state.files(lab, "work", "/rw/home/user", "/rw/bind-dirs", "/rw/config")
    return found | {
        "note": {key: sorted(value) if isinstance(value, dict) else "" for key, value in
                 note.items()},
        "step": note["step"],
        "client": {path: about[:3] for path, about in client.items() if "/borg/" not in path},
        "crontab": lab.exec("work", ["crontab", "-l"], check=True).stdout,
    }


def strikes(lab: Lab, row: Row, seen: Seen, *command: str) -> bool:
    """Run a command with a row's kill in its way; answer whether anybody was killed.

    What ends sooner than it did undisturbed is over before the middle of it.
    """
    call, alone = row.call, {"tool", "service", "sshd"}
    lab.faults.clear()
    lab.faults.add(
        where=call.where, match=call.name, source=call.source, target=seen.target, n=seen.nth,
        when=row.moment, seconds=seen.seconds / 2, ended=call.where == "qrexec",
        action=f"kill-{row.victim}" if row.victim in alone else f"kill-qube:{row.victim}",
    )
    done = lab.run(list(command))
    hit = any(call["hit"] for call in lab.trace())
    assert hit or row.moment == "amid"
    lab.faults.clear()
    said = (done.stdout + done.stderr).decode()
    assert typist.PASSWORD.decode() not in said
    if row.victim == "tool" and hit:
        assert done.returncode == SIGKILL, said
        return True
    assert "Traceback" not in said and done.returncode != SIGKILL, said
    assert len(re.findall(r"^error: ", said, re.MULTILINE)) == (done.returncode != 0), said
    assert state.gates(lab) == []
    return hit


def mended(lab: Lab, row: Row) -> None:
    """Start again what was killed and ran before; the next run shall not have to."""
    if kills.is_shutting_down(row):
        _until_halted(lab, row.call.target)
    if row.victim == "sshd":
        lab.server.start_sshd()
    elif row.victim not in ("tool", "service", VAULT, WORKER) and row.call.run in kills.ON_CLIENTS:
        _until_halted(lab, row.victim)
        lab.do("start", row.victim)


def _until_halted(lab: Lab, qube: str) -> None:
    deadline = time.monotonic() + 300
    while lab.qubes()[qube]["state"] != "Halted":
        assert time.monotonic() < deadline, f"{qube} does not halt"
        time.sleep(0.05)


def admin_logs_in(lab: Lab) -> None:
    """Log in with the admin key in a session of its own."""
    command = ["ssh", "-F", f"{_STATE}/ssh_config", "bakadmin", "ls", "-d", ".ssh"]
    done = lab.exec(KEEPER, command)
    assert done.returncode == 0, done.stderr.decode()


def secrets(lab: Lab) -> set[str]:
    """Answer the digests of the client's secrets, wherever they are, once its key is published."""
    keys = lab.server.exec(["cat", f"{person.HOME}/{person.KEYS}"], check=True).stdout
    if b"repos/qubes-work" not in keys:
        return set()
    found = set()
    for qube, folder in _PLACES:
        summed = lab.exec(qube, ["sha256sum", *(f"{folder}/{name}" for name in _SECRETS)])
        found |= {line.split()[0] for line in summed.stdout.decode().splitlines()}
    return found


def records(lab: Lab) -> list[str]:
    """Answer the versions that the vault keeps of work's record."""
    if lab.qubes()[VAULT]["state"] == "Halted":
        lab.do("start", VAULT)
    listed = lab.exec(VAULT, ["ls", f"{_STATE}/records/qubes-work"], check=True)
    return listed.stdout.decode().split()


def enrolment(lab: Lab) -> Undisturbed:
    """Answer what an undisturbed enrolment is; the lab is at `vaulted`."""
    person.runs(lab, *ENROL)
    return Undisturbed(kills.distinct("enrol", lab.trace()), _enrolled(lab))


def enrolment_converges(lab: Lab, clean: Undisturbed, row: Row) -> bool:
    """Kill in an enrolment, and see that one more run reaches the end of a clean one.

    Answers, as the others do, whether anybody was killed.
    """
    hit = strikes(lab, row, clean.calls[row.call], *ENROL)
    if hit:
        mended(lab, row)
    admin_logs_in(lab)
    before = secrets(lab)

    person.runs(lab, *ENROL)

    assert state.changes(clean.end, _enrolled(lab)) == []
    after = secrets(lab)
    assert before <= after and len(after) == len(_SECRETS)
    assert records(lab) == ["000001.json"]
    admin_logs_in(lab)
    listed = lab.exec("work", ["borgbak", "list", "--short"], check=True).stdout.decode()
    assert listed.startswith("work-")
    return hit


def opens(lab: Lab) -> list[str]:
    """Answer the archives by the bundle in force or, where it opens nothing, by the next one."""
    command = ["borgbak", "list", "--short"]
    if lab.exec("work", command).returncode:
        command = ["env", f"BORG_RSH=ssh -F {_NEXT}/ssh_config",
                   f"BORG_PASSCOMMAND=cat {_NEXT}/files/borgpass", "borg",
                   "list", "--short", "--remote-path=borg14", "ssh://bakserver/./repos/qubes-work"]
    listed = lab.exec("work", command)
    assert listed.returncode == 0, listed.stderr.decode()
    return listed.stdout.decode().split()


def rotation(lab: Lab) -> Undisturbed:
    """Answer what an undisturbed rotation is; the lab is at `escrowed`."""
    person.runs(lab, *ROTATE)
    return Undisturbed(kills.distinct("rotate", lab.trace()), _enrolled(lab))


def rotation_converges(lab: Lab, clean: Undisturbed, row: Row) -> bool:
    """Kill in a rotation: one of the two works, and one more run reaches the end of a clean one."""
    before, archives = state.noted(lab), state.archives(lab)
    hit = strikes(lab, row, clean.calls[row.call], *ROTATE)
    if hit:
        mended(lab, row)
    admin_logs_in(lab)
    assert opens(lab) == archives

    # What is unfinished, or has come to its end, is not begun anew.
    begun = state.noted(lab)["fingerprint"] != before["fingerprint"] or (
        "rotation" in state.noted(lab)["notes"])
    person.runs(lab, *(ENROL if begun else ROTATE))

    assert state.changes(clean.end, _enrolled(lab)) == []
    assert state.noted(lab)["fingerprint"] != before["fingerprint"]
    assert records(lab) == ["000001.json", "000002.json"]
    admin_logs_in(lab)
    assert state.archives(lab) == archives
    person.runs(lab, "qvm-borg-check", "work")
    return hit


class Setup:
    """A set-up in two runs, with a person at the server between them."""

    def __init__(self, lab: Lab) -> None:
        """Go through it undisturbed; the lab is at `fresh`."""
        self._lab = lab
        lab.do("start", "sys-firewall")
        self._command = ("qvm-borg-setup", "--server", person.SERVER,
                         "--fingerprint", person.fingerprint(lab))
        lab.snapshot("before-setup")
        lab.faults.clear()
        said = person.runs(lab, *self._command, code=15)
        calls = kills.distinct("setup", lab.trace())
        person.adds_the_line(lab, said)
        lab.snapshot("line-added")
        lab.faults.clear()
        person.runs(lab, "qvm-borg-setup")
        calls |= kills.distinct("login", lab.trace())
        self.clean = Undisturbed(calls, self._end())

    def _end(self) -> dict[str, Any]:
        self._lab.do("start", KEEPER)
        return end(self._lab)

    def converges(self, row: Row) -> bool:
        """Kill in one of the runs, and see that one more goes on as if nothing had been."""
        lab, first = self._lab, row.call.run == "setup"
        lab.restore("before-setup" if first else "line-added")
        command = self._command if first else ("qvm-borg-setup",)
        hit = strikes(lab, row, self.clean.calls[row.call], *command)
        if hit:
            mended(lab, row)
        if first:
            person.adds_the_line(lab, person.runs(lab, *command, code=15))

        person.runs(lab, "qvm-borg-setup")

        if lab.qubes()[KEEPER]["state"] == "Halted":
            lab.do("start", KEEPER)
        assert state.changes(self.clean.end, end(lab)) == []
        admin_logs_in(lab)
        return hit
