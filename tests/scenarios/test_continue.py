"""A repository that goes on with another qube: renamed, gone and made again, or come back."""

from typing import Any

import pytest

from lab import Lab
from scenarios import bent, lost, person, state, thief

KEEPER, VAULT = "borg-maintenance", "vault"
FILE = "/home/user/.bashrc"
AGAIN = """
vm = app.add_new_vm("AppVM", {0!r}, "blue", "debian-13")
vm.netvm = "sys-firewall"
vm.start()
"""


def _renames(lab: Lab, name: str = "office") -> None:
    """Rename as Qube Manager does: a clone by the new name, then the old one is removed."""
    bent.clones(lab, "work", name)
    lost.removes(lab, "work")
    lab.do("start", name)


def _comes_again(lab: Lab) -> None:
    lost.removes(lab, "work")
    bent.in_dom0(lab, AGAIN.format("work"))


def _goes_on(lab: Lab, qube: str, archive: str) -> None:
    """All of its history, one key of its own, and every command is content with it."""
    lines = [line for line in lost.keys(lab).split(b"\n") if b'repos/qubes-' in line]
    public = lab.exec(qube, ["cat", f".ssh/backups/qubes-{qube}.openssh.pub"], check=True)
    assert [b" ".join(public.stdout.split()[:2]) in line for line in lines] == [True]
    assert f'repos/qubes-{qube}"'.encode() in lines[0]
    found = state.archives(lab, qube)
    assert archive in found and len(found) == 2 and found[-1].startswith(f"{qube}-")
    note = state.noted(lab, qube)
    assert note["step"] == "forget" and "rotation" not in note["notes"]
    assert state.gates(lab) == []
    left = lab.exec(qube, ["ls", "/dev/shm/qubes-borg-1000"]).stdout
    assert b"record" not in left
    person.runs(lab, "qvm-borg-backup", qube)
    person.runs(lab, "qvm-borg-check", qube)
    person.runs(lab, "qvm-borg-check", qube, "--keys")
    assert "nothing was changed" in person.runs(lab, "qvm-borg-enroll", qube)


def test_a_renamed_qube_goes_on_with_its_repository(escrowed: Lab) -> None:
    archive = state.archives(escrowed, "work")[0]
    _renames(escrowed)
    refused = person.is_refused(escrowed, "qvm-borg-enroll", "office", code=13,
                                says="is a copy of an enrolled qube")  # fmt: skip
    assert "--continue OLD" in refused

    said = person.runs(escrowed, "qvm-borg-enroll", "office", "--continue", "work")

    assert "a file was read back in a worker" in said
    _goes_on(escrowed, "office", archive)
    again = person.runs(escrowed, "qvm-borg-enroll", "office", "--continue", "work")
    assert "nothing was changed" in again
    assert escrowed.server.exec(["ls", f"{person.HOME}/repos"]).stdout == b"qubes-office\n"


def test_a_name_that_had_a_repository_before_is_as_good_as_any(escrowed: Lab) -> None:
    archive = state.archives(escrowed, "work")[0]
    person.runs(escrowed, "qvm-borg-enroll", "personal")
    person.runs(escrowed, "qvm-borg-revoke", "personal", "--delete-repository", "--yes")
    lost.removes(escrowed, "personal")
    _renames(escrowed, "personal")

    person.runs(escrowed, "qvm-borg-enroll", "personal", "--continue", "work")

    _goes_on(escrowed, "personal", archive)


def test_a_qube_that_was_made_again_has_all_its_archives(escrowed: Lab) -> None:
    archive = state.archives(escrowed, "work")[0]
    key = escrowed.exec("work", ["cat", ".ssh/backups/qubes-work.openssh"], check=True).stdout
    _comes_again(escrowed)

    person.runs(escrowed, "qvm-borg-enroll", "work", "--continue", "work")

    now = escrowed.exec("work", ["cat", ".ssh/backups/qubes-work.openssh"], check=True).stdout
    assert key != now
    _goes_on(escrowed, "work", archive)
    person.runs(escrowed, "qvm-borg-restore", "work", FILE, "--to-directory", "/home/user/back",
                "--archive", archive)  # fmt: skip
    person.runs(escrowed, "qvm-borg-rotate", "work")


def test_a_copy_that_came_back_out_of_a_backup_goes_on(escrowed: Lab) -> None:
    archive = state.archives(escrowed, "work")[0]
    bent.clones(escrowed, "work", "spare")
    lost.removes(escrowed, "work")
    bent.clones(escrowed, "spare", "work")
    lost.removes(escrowed, "spare")
    escrowed.do("start", "work")

    person.runs(escrowed, "qvm-borg-enroll", "work", "--continue", "work")

    _goes_on(escrowed, "work", archive)


def test_what_was_revoked_goes_on_with_a_new_key(escrowed: Lab) -> None:
    archive = state.archives(escrowed, "work")[0]
    revoked = state.noted(escrowed, "work")["fingerprint"]
    person.runs(escrowed, "qvm-borg-revoke", "work")

    person.runs(escrowed, "qvm-borg-enroll", "work", "--continue", "qubes-work")

    assert state.noted(escrowed, "work")["fingerprint"] != revoked
    _goes_on(escrowed, "work", archive)


def _is_revoked(lab: Lab) -> None:
    person.runs(lab, "qvm-borg-revoke", "work")


def _is_anothers(lab: Lab) -> None:
    changed = thief.borg(lab, "key", "change-passphrase", thief.url(thief.OWN),
                         env={"BORG_NEW_PASSPHRASE": "evil"})  # fmt: skip
    assert changed.returncode == 0, changed


def _is_keyless(lab: Lab) -> None:
    lost.loses_its_key(lab, "qubes-work")


SHUT = {
    "renamed": ("office", _renames, _is_anothers, 19, "does not open the repository"),
    "revoked": ("work", _is_revoked, _is_anothers, 19, "does not open the repository"),
    "without-a-key": ("office", _renames, _is_keyless, 21, "keys of this repository are not there"),
}


@pytest.mark.parametrize(("name", "comes", "bends", "code", "says"), SHUT.values(), ids=SHUT)
def test_what_the_vaults_record_does_not_open_stays_as_it_is_until_it_does(
    escrowed: Lab, name: str, comes: Any, bends: Any, code: int, says: str
) -> None:
    archive = state.archives(escrowed, "work")[0]
    bends(escrowed)
    comes(escrowed)
    keys = lost.keys(escrowed)
    listed = escrowed.server.exec(["ls", f"{person.HOME}/repos"]).stdout
    goes_on = ("qvm-borg-enroll", name, "--continue", "work")

    hint = person.is_refused(escrowed, *goes_on, code=code, says=says)

    assert "`qvm-borg-recover --repair-key " in hint
    assert lost.keys(escrowed) == keys and state.gates(escrowed) == []
    assert escrowed.server.exec(["ls", f"{person.HOME}/repos"]).stdout == listed
    lost.starts(escrowed)
    assert b"office" not in escrowed.exec(VAULT, ["ls", f"{lost.STATE}/records"]).stdout
    said = person.runs(escrowed, "qvm-borg-recover", "--repair-key", "work")
    assert "the key of qubes-work was put back" in said
    person.runs(escrowed, *goes_on)
    _goes_on(escrowed, name, archive)


def test_what_was_moved_before_it_was_cut_opens_by_its_new_name(escrowed: Lab) -> None:
    archive = state.archives(escrowed, "work")[0]
    _renames(escrowed)
    escrowed.faults.clear()
    escrowed.faults.add(where="qrexec", match="qborg.RegisterKey+qubes-office", action="kill-tool",
                        when="after", n=0)  # fmt: skip
    escrowed.run(["qvm-borg-enroll", "office", "--continue", "work"], timeout=900)
    assert any(entry["hit"] for entry in escrowed.trace())
    escrowed.faults.clear()
    lost.loses_its_key(escrowed, "qubes-office")

    said = person.runs(escrowed, "qvm-borg-recover", "--repair-key", "office")

    assert "the key of qubes-office was put back" in said
    person.runs(escrowed, "qvm-borg-enroll", "office")
    _goes_on(escrowed, "office", archive)


def _its_record_is_lost(lab: Lab) -> None:
    lost.removes(lab, "work")
    lost.starts(lab)
    lab.exec(VAULT, ["rm", "-r", f"{lost.STATE}/records/qubes-work"], check=True)


def _is_in_quarantine(lab: Lab) -> None:
    person.runs(lab, "qvm-borg-revoke", "work", "--quarantine")


def _has_its_own(lab: Lab) -> None:
    person.runs(lab, "qvm-borg-enroll", "personal")
    lost.removes(lab, "work")


def _is_in_the_way(lab: Lab) -> None:
    lost.removes(lab, "work")
    lab.server.exec(["mkdir", f"{person.HOME}/repos/qubes-personal"], check=True)


REFUSED = {
    "it-still-backs-up": (lambda _lab: None, 13, "its repository is in use for another qube"),
    "no-record": (_its_record_is_lost, 14, "vault: it has no recovery record of it"),
    "in-quarantine": (_is_in_quarantine, 13, "qubes-work is in quarantine"),
    "has-its-own": (_has_its_own, 13, "has a repository of its own already"),
    "another-one-is-there": (_is_in_the_way, 19, "its repository exists"),
}


@pytest.mark.parametrize(("bends", "code", "says"), REFUSED.values(), ids=REFUSED)
def test_what_must_not_go_on_is_refused(
    escrowed: Lab, bends: Any, code: int, says: str
) -> None:
    bends(escrowed)
    keys = lost.keys(escrowed)
    listed = escrowed.server.exec(["ls", f"{person.HOME}/repos"]).stdout

    person.is_refused(escrowed, "qvm-borg-enroll", "personal", "--continue", "work", code=code,
                      says=says)  # fmt: skip

    assert lost.keys(escrowed) == keys and state.gates(escrowed) == []
    assert escrowed.server.exec(["ls", f"{person.HOME}/repos"]).stdout == listed


def test_what_the_server_does_not_move_goes_on_when_it_does(escrowed: Lab) -> None:
    archive = state.archives(escrowed, "work")[0]
    _renames(escrowed)
    places = f"{person.HOME}/repos"
    # In a sticky directory of root's nobody else renames what is root's; all else goes on there.
    escrowed.server.exec(["chown", "root", places, f"{places}/qubes-work"], check=True)
    escrowed.server.exec(["chmod", "1777", places, f"{places}/qubes-work"], check=True)

    told = person.is_refused(escrowed, "qvm-borg-enroll", "office", "--continue", "work", code=19,
                             says="does not become repos/qubes-office")  # fmt: skip

    assert "have what is in the way moved away there" in told
    assert escrowed.server.exec(["ls", places]).stdout == b"qubes-work\n"
    escrowed.server.exec(["chown", f"--reference={person.HOME}", places, f"{places}/qubes-work"],
                         check=True)  # fmt: skip
    person.runs(escrowed, "qvm-borg-enroll", "office", "--continue", "work")
    _goes_on(escrowed, "office", archive)


CUTS = {
    "proved": ("qborg.ReadManifest+qubes-work", "after"),
    "copied": ("qborg.CopyRecord+qubes-work", "after"),
    "released": ("qborg.TakeRecord+qubes-work", "after"),
    "made": ("qborg.PrepareBundle+qubes-office", "after"),
    "registered": ("qborg.RegisterKey+qubes-office", "after"),
    "published": ("qborg.PublishKeys*", "after"),
    "opened": ("qborg.OpenRepository+qubes-office", "after"),
    "submitted": ("qborg.SubmitRecord+qubes-office", "after"),
    "adopted": ("qborg.AdoptBundle+qubes-office", "after"),
}


@pytest.mark.kill
@pytest.mark.parametrize("victim", ["kill-tool", "kill-qube:office"], ids=["tool", "qube"])
@pytest.mark.parametrize(("call", "when"), CUTS.values(), ids=CUTS)
def test_what_was_cut_is_brought_to_its_end(
    escrowed: Lab, call: str, when: str, victim: str
) -> None:
    archive = state.archives(escrowed, "work")[0]
    _renames(escrowed)
    escrowed.faults.clear()
    escrowed.faults.add(where="qrexec", match=call, action=victim, when=when, n=0)
    escrowed.run(["qvm-borg-enroll", "office", "--continue", "work"], timeout=900)
    assert any(entry["hit"] for entry in escrowed.trace())
    escrowed.faults.clear()
    if escrowed.qubes()["office"]["state"] == "Halted":
        escrowed.do("start", "office")

    # The note says what it goes on with, if the tool came as far as that.
    noted = "x-qborg" in state.qubesd(escrowed)["office"]["features"] and (
        "continues" in state.noted(escrowed, "office")["notes"])
    option = () if noted else ("--continue", "work")
    person.runs(escrowed, "qvm-borg-enroll", "office", *option)

    _goes_on(escrowed, "office", archive)
