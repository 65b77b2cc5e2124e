"""A new repository in the place of one whose key may be known; the former is a gone qube's."""

import json
import re
from typing import Any

import pytest

from lab import Lab
from scenarios import bent, lost, person, state
from scenarios.refusal import Refused, changes_nothing

KEEPER, VAULT, CLIENT = "borg-maintenance", "vault", "work"
FORMER = "qubes-work.former1"
ROTATE = ("qvm-borg-rotate", "--new-repository", CLIENT)
REPOS = f"{person.HOME}/repos"
# What the vault's record opens, with nothing else: by plain borg, at the server's own disk.
_LISTS = """
import json, os, subprocess, sys, tempfile
record = json.loads(sys.stdin.read())
done = subprocess.run(["borg", "list", "--short", "--bypass-lock", sys.argv[1]], text=True,
                      env={"PATH": os.environ["PATH"], "BORG_PASSPHRASE": record["passphrase"],
                           "BORG_BASE_DIR": tempfile.mkdtemp()}, capture_output=True)
print(done.stdout + done.stderr, end="")
sys.exit(done.returncode)
"""


def _record(lab: Lab, repository: str) -> dict[str, Any]:
    """Answer the vault's newest record of a repository."""
    lost.starts(lab)
    newest = f"cat $(ls -d {lost.STATE}/records/{repository}/* | tail -n 1)"
    read = lab.exec(VAULT, ["sh", "-euc", newest], check=True).stdout
    found: dict[str, Any] = json.loads(read)
    return found


def _opens(lab: Lab, record: dict[str, Any], repository: str) -> tuple[int, str]:
    """Answer how plain borg ends with a record's passphrase alone, and what it says."""
    path = f"{REPOS}/{repository}"
    done = lab.server.exec(["python3", "-c", _LISTS, path], input=json.dumps(record).encode())
    return done.returncode, done.stdout.decode()


def _there(lab: Lab) -> list[str]:
    """Answer what lies there, less what a birth that was cut has left."""
    listed = lab.server.exec(["ls", "-A", REPOS], check=True).stdout.decode().split()
    return [name for name in listed if ".unfinished-" not in name]


def _public(lab: Lab) -> str:
    """Answer the one key that the server lets into repositories of work, in base64."""
    keys = lost.keys(lab).decode()
    (found,) = re.findall(r'repos/qubes-work"\S* ssh-ed25519 (\S+)', keys)
    assert keys.count("repos/qubes-work") == 1
    return str(found)


def _is_replaced(lab: Lab, archive: str, public: str) -> None:
    """The new one is the qube's, of one key; the former opens by the record of its own name."""
    note = state.noted(lab)
    assert note["step"] == "forget" and not {"rotation", "next", "former"} & note["notes"].keys()
    assert "former" not in note["digests"] and note["times"]["proved"] != "0"
    assert state.gates(lab) == [] and sorted(_there(lab)) == ["qubes-work", FORMER]
    assert _public(lab) != public
    left = lab.exec(CLIENT, ["ls", "-A", ".ssh/backups.d"], check=True).stdout.decode().split()
    assert len(left) == 1 and left[0].isdigit(), left
    # The repositories, their keys and their archives are two.
    now = state.archives(lab)
    assert len(now) == 1 and now != [archive]
    former, new = _record(lab, FORMER), _record(lab, "qubes-work")
    assert former["repository"] == FORMER and former["key_export"] != new["key_export"]
    assert _opens(lab, former, FORMER) == (0, f"{archive}\n")
    code, said = _opens(lab, former, "qubes-work")
    assert code != 0 and "is incorrect" in said
    person.runs(lab, "qvm-borg-check", CLIENT)
    assert "nothing was changed" in person.runs(lab, "qvm-borg-enroll", CLIENT)


def test_a_new_one_takes_its_place_and_the_former_is_a_gone_qubes(escrowed: Lab) -> None:
    (archive,), public = state.archives(escrowed), _public(escrowed)
    keep = "cp -rL .ssh/backups /tmp/former && sed -i s,~/.ssh/backups,/tmp/former, " \
           "/tmp/former/bakserver"
    escrowed.exec(CLIENT, ["sh", "-euc", keep], check=True)

    said = person.runs(escrowed, *ROTATE)

    assert f"its repository is to be {FORMER}" in said and "everything is sent again" in said
    assert f"the former archives stay in {FORMER}" in said and "encrypts nothing" not in said
    assert "print-kit" in said and "a file was read back in a worker" in said
    _is_replaced(escrowed, archive, public)
    tried = escrowed.exec(CLIENT, ["ssh", "-F", "/tmp/former/bakserver", "bakserver", "x"])
    assert b"Permission denied" in tried.stderr
    # By its schedule it backs up into the new one, where borg knew another by that place.
    escrowed.exec(CLIENT, ["qborg-run"], check=True)
    # As what is left of a gone qube: printed with the rest, made a qube of again, and deleted.
    printed = person.runs(escrowed, "qvm-borg-recover", "--print-kit", "--all")
    assert "repositories: 2" in printed
    made = person.runs(escrowed, "qvm-borg-recover", "work.former1", "--yes", "--archive",
                       archive)
    lost.starts(escrowed, "work.former1")
    assert "files, " in made and archive in state.archives(escrowed, "work.former1")
    lost.removes(escrowed, "work.former1")
    person.runs(escrowed, "qvm-borg-revoke", FORMER, "--delete-repository", "--yes")
    assert _there(escrowed) == ["qubes-work"]
    person.runs(escrowed, "qvm-borg-backup", CLIENT)


def _an_archive_opens(lab: Lab, archive: str) -> bool:
    """Tell whether a record in the vault opens the former repository, wherever it lies."""
    found = [name for name in ("qubes-work", FORMER)
             if lab.exec(VAULT, ["ls", f"{lost.STATE}/records/{name}"]).returncode == 0]
    return any(archive in _opens(lab, _record(lab, record), place)[1]
               for record in found for place in _there(lab))


# RegisterKey is called to register, to move, to register the id of the new one, and to settle.
CUTS = {
    "copied": ("qborg.CopyRecord+qubes-work", "after", 0),
    "made": ("qborg.PrepareBundle+qubes-work", "after", 0),
    "registered": ("qborg.RegisterKey+qubes-work", "after", 0),
    "published": ("qborg.PublishKeys*", "after", 0),
    "before-the-move": ("qborg.RegisterKey+qubes-work", "before", 2),
    "moved": ("qborg.RegisterKey+qubes-work", "after", 2),
    "born": ("qborg.OpenRepository+qubes-work", "after", 0),
    "submitted": ("qborg.SubmitRecord+qubes-work", "after", 0),
    "adopted": ("qborg.AdoptBundle+qubes-work", "after", 0),
    "settled": ("qborg.RegisterKey+qubes-work", "after", 4),
}
OFTEN = ("moved", "born")  # at each commit; the others with `make test-kill`
VICTIMS = {"tool": "kill-tool", "qube": f"kill-qube:{CLIENT}", "keeper": f"kill-qube:{KEEPER}"}
ROWS = [pytest.param(*CUTS[cut], VICTIMS[victim], id=f"{cut}-{victim}", marks=[pytest.mark.kill] * (
    cut not in OFTEN or victim != "tool")) for cut in CUTS for victim in VICTIMS]


@pytest.mark.parametrize(("call", "when", "number", "victim"), ROWS)
def test_one_that_was_cut_opens_all_the_time_and_the_next_run_ends_it(
    escrowed: Lab, call: str, when: str, number: int, victim: str
) -> None:
    (archive,), public = state.archives(escrowed), _public(escrowed)
    escrowed.faults.clear()
    escrowed.faults.add(where="qrexec", match=call, action=victim, when=when, n=number)
    escrowed.run(list(ROTATE), timeout=900)
    assert any(entry["hit"] for entry in escrowed.trace())
    escrowed.faults.clear()
    for qube in (CLIENT, VAULT):
        lost.starts(escrowed, qube)
    assert _an_archive_opens(escrowed, archive)

    # One that was whole in spite of it is not begun anew.
    person.runs(escrowed, "qvm-borg-enroll", CLIENT)

    _is_replaced(escrowed, archive, public)


def _has_no_vault(lab: Lab) -> None:
    bent.in_dom0(lab, "del app.domains['dom0'].features['x-qborg-vault']")


def _has_changed_its_passphrase(lab: Lab) -> None:
    change = ["env", "BORG_NEW_PASSPHRASE=another", "BORG_REMOTE_PATH=borg14",
              "BORG_RSH=ssh -F /home/user/.ssh/backups/bakserver", "sh", "-c",
              "BORG_PASSPHRASE=$(cat .ssh/backups/borgpass) borg key change-passphrase "
              "ssh://bakserver/./repos/qubes-work"]
    lab.exec(CLIENT, change, check=True)


REFUSED: dict[str, tuple[Any, tuple[str, ...], int, str]] = {
    "no-vault": (_has_no_vault, (), 14, "there is no vault"),
    "what-the-vault-does-not-open": (_has_changed_its_passphrase, (), 19, "does not open"),
    "two": (lambda _lab: None, ("personal",), 2, "it takes exactly one qube"),
    "one-secret": (lambda _lab: None, ("--ssh-key",), 2, "both secrets are new"),
}


@pytest.mark.parametrize(("bends", "more", "code", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_replaced_is_refused_before_anything_is_changed(
    escrowed: Lab, bends: Any, more: tuple[str, ...], code: int, says: str
) -> None:
    bends(escrowed)
    changes_nothing(escrowed, ROTATE[0], Refused((*ROTATE[1:], *more), code, says))


def test_what_is_in_the_way_is_not_overwritten(escrowed: Lab) -> None:
    (archive,), public = state.archives(escrowed), _public(escrowed)
    escrowed.faults.clear()
    escrowed.faults.add(where="qrexec", match="qborg.PublishKeys*", action="kill-tool",
                        when="after", n=0)  # fmt: skip
    escrowed.run(list(ROTATE), timeout=900)
    escrowed.faults.clear()
    escrowed.server.exec(["mkdir", f"{REPOS}/{FORMER}"], check=True)

    told = person.is_refused(escrowed, *ROTATE, code=19, says=f"there is a repos/{FORMER} already")

    assert "have what is in the way moved away there" in told
    assert _an_archive_opens(escrowed, archive)
    escrowed.server.exec(["rmdir", f"{REPOS}/{FORMER}"], check=True)
    person.runs(escrowed, *ROTATE)
    _is_replaced(escrowed, archive, public)
