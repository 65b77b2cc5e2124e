"""qvm-borg-revoke: the key opens nothing any more, the qube is as before, the archives stay."""

import json
from typing import Any

import pytest

from lab import Lab
from scenarios import bent, old_world, person, state, thief
from scenarios.attacker import EVIL as KEEPER
from scenarios.person import HOME

REVOKE = ("qvm-borg-revoke", "work")
ENROL = ("qvm-borg-enroll", "work")
DELETE = (*REVOKE, "--delete-repository")
_KEPT = "/home/user/.local/share/qubes-borg"
_MINE = """mkdir -m 700 .ssh
printf 'Host nas\\n  User me' > .ssh/config
printf '17 * * * * true\\n@daily true\\n' | crontab -
"""


def _starts(lab: Lab, qube: str) -> None:
    if lab.qubes()[qube]["state"] == "Halted":
        lab.do("start", qube)


def _home(lab: Lab) -> state.State:
    """Answer all files of work's user, less borg's own for all of its repositories."""
    found = state.files(lab, "work", "/rw/home/user")
    return {path: about for path, about in found.items()
            if about[0][0] != "d" and not path.endswith("/CACHEDIR.TAG")}


def _crontab(lab: Lab) -> bytes:
    return lab.exec("work", ["crontab", "-l"]).stdout


def _features(lab: Lab) -> dict[str, str]:
    found: dict[str, str] = state.qubesd(lab)["work"]["features"]
    return {key: value for key, value in found.items()
            if key in ("x-qborg", "service.qborg-client")}


def _registry(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        lab.exec(KEEPER, ["cat", f"{_KEPT}/registry.json"], check=True).stdout)
    return found


def _there(lab: Lab) -> list[str]:
    listed = lab.server.exec(["ls", "-A", f"{HOME}/repos"], check=True)
    return listed.stdout.decode().split()


def _steals(lab: Lab) -> None:
    """Keep a copy of what lies in the qube, as a thief does."""
    lab.exec("work", ["cp", "-rL", "/home/user/.ssh/backups", "/tmp/backups"], check=True)


def _thief_opens(lab: Lab) -> bool:
    """Tell whether the stolen copy opens the repository; it is put back for that."""
    back = "cd .ssh 2>/dev/null || { mkdir -m 700 .ssh; cd .ssh; }; cp -r /tmp/backups ."
    lab.exec("work", ["sh", "-c", back], check=True)
    listed, login = thief.borg(lab, "list", thief.url(thief.OWN)), thief.ssh(lab, ["true"])
    lab.exec("work", ["sh", "-c", "rm -r .ssh/backups; rmdir .ssh 2>/dev/null; true"], check=True)
    assert (b"Permission denied (publickey)" in login.stderr) == (listed.returncode != 0)
    return listed.returncode == 0


def test_the_key_opens_nothing_and_the_qube_is_as_before(vaulted: Lab) -> None:
    vaulted.exec("work", ["sh", "-euc", _MINE], check=True)
    before, crontab = _home(vaulted), _crontab(vaulted)
    person.runs(vaulted, *ENROL)
    _steals(vaulted)
    listed = vaulted.exec("work", ["borgbak", "list", "--short"], check=True).stdout

    said = person.runs(vaulted, *REVOKE)

    assert f"kept: {person.SERVER}:repos/qubes-work with its archives" in said
    assert "kept: the recovery record in vault" in said
    assert _home(vaulted) == before and _crontab(vaulted) == crontab
    assert _features(vaulted) == {} and state.gates(vaulted) == []
    assert not _thief_opens(vaulted)
    keys = old_world.keys(vaulted)
    assert "qubes-work" not in keys and "qubes-borg-admin" in keys
    assert _there(vaulted) == ["qubes-work"] and listed.startswith(b"work-")
    assert vaulted.qubes()["vault"]["state"] == "Halted", "it is put back as it was found"
    again = person.runs(vaulted, *REVOKE)
    assert "was revoked already; nothing was changed" in again


def test_the_vaults_account_knows_of_the_revocation(escrowed: Lab) -> None:
    person.runs(escrowed, *REVOKE)

    _starts(escrowed, "vault")
    newest = f"cat $(ls -d {_KEPT}/records/qubes-borg-maintenance/*.json | tail -n 1)"
    found = json.loads(escrowed.exec("vault", ["sh", "-c", newest], check=True).stdout)
    known = json.loads(found["registry"])
    made = _registry(escrowed)["repositories"]["qubes-work"]["fingerprint"]
    assert known["revoked"] == made.removeprefix("SHA256:")
    records = escrowed.exec("vault", ["ls", f"{_KEPT}/records/qubes-work"], check=True).stdout
    assert records.split() == [b"000001.json"]


def test_without_escrow_the_maintenance_qube_keeps_what_opens_it(enrolled: Lab) -> None:
    said = person.runs(enrolled, *REVOKE)

    assert "kept: key and passphrase in borg-maintenance, ~/.local/share/qubes-borg/rev" in said
    made = _registry(enrolled)["repositories"]["qubes-work"]["created"]
    aside = f"{_KEPT}/revoked-keys/qubes-work.{made}"
    held = enrolled.exec(KEEPER, ["ls", aside], check=True).stdout.split()
    assert {b"borgpass", b"key-export", b"qubes-work.openssh"} <= set(held)
    assert enrolled.exec(KEEPER, ["ls", f"{_KEPT}/host-keys/qubes-work"]).returncode != 0


def test_a_revoked_fingerprint_is_never_rendered_again(enrolled: Lab) -> None:
    old = old_world.keys(enrolled)
    saved = bent.saved_maintenance(enrolled)
    blob = next(line for line in old.splitlines() if line.endswith(" qubes-work")).split()[-2]
    person.runs(enrolled, *REVOKE)

    person.runs(enrolled, "qvm-borg-enroll", "personal", "--no-escrow")

    assert blob not in old_world.keys(enrolled) and "qubes-personal" in old_world.keys(enrolled)
    bent.brings_maintenance_back(enrolled, saved)
    person.is_refused(enrolled, "qvm-borg-enroll", "work", "--no-escrow", code=3,
                      says="knows a later state")  # fmt: skip
    assert blob not in old_world.keys(enrolled)


@pytest.mark.parametrize("name", ["work", "qubes-work"])
def test_a_qube_that_is_gone_is_revoked_by_either_name(escrowed: Lab, name: str) -> None:
    _steals(escrowed)
    bent.clones(escrowed, "work", "aside")
    bent.in_dom0(escrowed, "del app.domains['work']")

    said = person.runs(escrowed, "qvm-borg-revoke", name)

    assert "no qube here has it any more" in said and "aside is a copy" in said
    assert "qubes-work" not in old_world.keys(escrowed)


def test_a_halted_qube_is_started_for_it_and_halted_again(escrowed: Lab) -> None:
    escrowed.do("shutdown", "work")

    person.runs(escrowed, *REVOKE)

    assert escrowed.qubes()["work"]["state"] == "Halted"
    escrowed.do("start", "work")
    assert escrowed.exec("work", ["test", "-e", ".ssh/backups"]).returncode == 1
    assert b"qborg-run" not in _crontab(escrowed)


def test_a_qube_that_does_not_start_is_told_and_the_rest_is_done(escrowed: Lab) -> None:
    escrowed.do("pause", "work")

    said = person.runs(escrowed, *REVOKE, code=11)

    assert "error: work is paused, not running" in said
    assert "qubes-work" not in old_world.keys(escrowed)
    assert "run `qvm-borg-revoke work` again" in person.runs(escrowed, "qvm-borg-status", code=27)
    escrowed.do("unpause", "work")
    person.runs(escrowed, *REVOKE)
    assert _features(escrowed) == {}


_HOLD = "setsid flock .local/state/qubes-borg/lock sleep 120 >/dev/null 2>&1 & sleep 1"
IN_THE_WAY = {
    "half-a-crontab-block": (
        "(crontab -l; echo '# BEGIN qubes-borg') | crontab -", "holds part of a qubes-borg block",
        "crontab -l | sed '$d' | crontab -"),
    "linked-config": ("mv .ssh/config c; ln -s ../c .ssh/config", "is a link",
                      "rm .ssh/config; mv c .ssh/config"),
    "a-backup-runs": (_HOLD, "another backup or restore of this qube is running", "pkill sleep"),
}


@pytest.mark.parametrize(("bend", "says", "mend"), IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_what_is_in_the_way_in_the_qube_is_told_and_mended(
    escrowed: Lab, bend: str, says: str, mend: str
) -> None:
    escrowed.exec("work", ["sh", "-c", bend], check=True)
    before = _home(escrowed)

    said = person.runs(escrowed, *REVOKE, code=11)

    assert says in said and "qubes-work" not in old_world.keys(escrowed)
    assert _home(escrowed) == before and "x-qborg" in _features(escrowed)
    escrowed.exec("work", ["sh", "-c", mend], check=True)
    person.runs(escrowed, *REVOKE)
    assert escrowed.exec("work", ["test", "-e", ".ssh/backups"]).returncode == 1
    assert _features(escrowed) == {}


def test_a_clone_is_not_taken_for_the_original(enrolled: Lab) -> None:
    bent.clones(enrolled, "work", "work2")
    before = state.everything(enrolled)

    person.is_refused(enrolled, "qvm-borg-revoke", "work2", code=24, says="is a copy")

    assert state.everything(enrolled) == before


def test_a_line_of_that_key_elsewhere_is_found(escrowed: Lab) -> None:
    line = next(line for line in old_world.keys(escrowed).splitlines()
                if line.endswith(" qubes-work"))  # fmt: skip
    plain = " ".join(line.split()[-3:-1]).replace("restrict ", "") + " copied\n"
    old_world.at_server(escrowed, f"printf '%s' '{plain}' >> .ssh/authorized_keys")

    said = person.is_refused(escrowed, *DELETE, "--yes", code=15, says="still accepts its key")

    assert 'restrict-to-repository repos/qubes-work",restrict ssh-ed25519' in said
    assert _there(escrowed) == ["qubes-work"] and "x-qborg" in _features(escrowed)
    assert escrowed.exec("work", ["test", "-e", ".ssh/backups"]).returncode == 0
    old_world.at_server(escrowed, "sed -i '/ copied$/d' .ssh/authorized_keys")
    person.runs(escrowed, *DELETE, "--yes")
    assert _there(escrowed) == [] and _features(escrowed) == {}


_MARK, _FINISH = (("qrexec", "qborg.RevokeKeys+qubes-work", number) for number in (1, 2))
_BUNDLE = ("qrexec", "qborg.RemoveBundle+qubes-work", 1)
_RECORD = ("qubesd", "admin.vm.feature.Remove+x-qborg", 1)
# Where it strikes (the end of one step is the begin of the next), who dies, and when.
KILLS = {
    "mark": (*_MARK, "kill-tool", "before"),
    "note": ("qubesd", "admin.vm.feature.Set+x-qborg", 1, "kill-tool", "before"),
    "publish": ("qrexec", "qborg.PublishKeys+", 1, "kill-tool", "before"),
    "finish": (*_FINISH, "kill-tool", "before"),
    "vault": ("qrexec", "qborg.SendRecord+qubes-borg-maintenance", 1, "kill-tool", "before"),
    "bundle": (*_BUNDLE, "kill-tool", "before"),
    "role": ("qubesd", "admin.vm.feature.Remove+service.qborg-client", 1, "kill-tool", "before"),
    "record": (*_RECORD, "kill-tool", "before"),
    "end": (*_RECORD, "kill-tool", "after"),
    "keeper-at-mark": (*_MARK, "kill-qube:borg-maintenance", "after"),
    "publication": ("qrexec", "qborg.PublishKeys+", 1, "kill-service", "before"),
    "keeper-at-finish": (*_FINISH, "kill-qube:borg-maintenance", "after"),
    "client-at-bundle": (*_BUNDLE, "kill-qube:work", "after"),
}


@pytest.mark.parametrize(("command", "fate", "left"), [
    ((*DELETE, "--yes"), "deleted", []),
    pytest.param(REVOKE, "kept", ["qubes-work"], marks=pytest.mark.kill),
], ids=["deleting", "plain"])
@pytest.mark.parametrize("row", KILLS.values(), ids=KILLS)
def test_killed_between_any_two_steps_the_next_run_ends_it(
    escrowed: Lab, row: tuple[str, str, int, str, str], command: tuple[str, ...], fate: str,
    left: list[str],
) -> None:
    where, match, number, action, when = row
    escrowed.faults.add(where=where, match=match, action=action, when=when, n=number)
    escrowed.run(list(command))
    assert any(entry["hit"] for entry in escrowed.trace())
    escrowed.faults.clear()
    assert _there(escrowed) or "qubes-work" not in old_world.keys(escrowed)

    person.runs(escrowed, *command)

    assert _features(escrowed) == {} and state.gates(escrowed) == []
    assert "qubes-work" not in old_world.keys(escrowed) and _there(escrowed) == left
    _starts(escrowed, "work")
    assert escrowed.exec("work", ["test", "-e", ".ssh/backups.d"]).returncode == 1
    assert b"qborg-run" not in _crontab(escrowed)
    _starts(escrowed, KEEPER)
    assert _registry(escrowed)["repositories"]["qubes-work"].get("fate", "kept") == fate
