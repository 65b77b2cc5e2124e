"""A qube that is gone comes back as it was: what it is, its files, its history, one key."""

from collections.abc import Callable
from typing import Any

import pytest

from lab import Lab
from scenarios import bent, lost, person, state

RECOVER = ("qvm-borg-recover", "work")
LETTER = "/home/user/Documents/letter"
OUTSIDE = "/home/user/outside-of-the-home"
# What a person made of the qube: its label, a tag, a service, a property, its firewall.
_IS_SPECIAL = """
vm = app.domains["work"]
vm.label = "purple"
vm.tags.add("of-mine")
vm.features["service.of-mine"] = "1"
vm.features["menu-items"] = "letter.desktop"
vm.include_in_backups = False
vm.qubesd_call(None, "admin.vm.firewall.Set", None,
               b"action=accept dst4=198.51.100.10/32\\naction=drop\\n")
"""
_FIREWALL = """
print(app.domains["work"].qubesd_call(None, "admin.vm.firewall.Get").decode())
"""


def _writes(lab: Lab) -> None:
    """Have files that a person would miss, at home and elsewhere."""
    script = (f"mkdir -p {LETTER.rpartition('/')[0]}; echo dear > {LETTER}; "
              "echo '! pp:/home/user/Downloads' >> ~/.config/qubes-borg/patterns")
    lab.exec("work", ["sh", "-c", script], check=True)
    lab.exec("work", ["sh", "-c", "echo rc > /rw/config/rc.local"], user="root", check=True)


@pytest.fixture
def gone(escrowed: Lab) -> dict[str, Any]:
    """A qube with files and an own character, backed up, and then removed; answers what it was.

    Its newest archive is one that a person made.
    """
    bent.in_dom0(escrowed, _IS_SPECIAL)
    _writes(escrowed)
    person.runs(escrowed, "qvm-borg-backup", "work")
    escrowed.exec("work", ["borgbak", "create", "::work-notes", LETTER], check=True)
    was = {"work": state.qubesd(escrowed)["work"], "firewall": bent.in_dom0(escrowed, _FIREWALL),
           "archives": state.archives(escrowed), "keys": lost.keys(escrowed),
           "home": _home(escrowed)}
    lost.removes(escrowed, "work")
    return was


def _home(lab: Lab) -> dict[str, Any]:
    """Answer the user's files, less what is ours and changes with each backup."""
    ours = (".ssh/backups", ".cache", ".local/state/qubes-borg", ".config/borg",
            "outside-of-the-home", ".bash_history")
    found = state.files(lab, "work", "/home/user")
    return {path: about for path, about in found.items() if len(about) > 3 and not
            path.removeprefix("/home/user/").startswith(ours)}  # fmt: skip


def _is_back(lab: Lab, was: dict[str, Any]) -> None:
    assert lab.exec("work", ["cat", LETTER], check=True).stdout == b"dear\n"
    assert _home(lab) == was["home"]
    assert lab.exec("work", ["cat", f"{OUTSIDE}/rw/config/rc.local"]).stdout == b"rc\n"
    known = state.qubesd(lab)
    for about in (was["work"], known["work"]):
        about.pop("uuid", None)
        about["features"].pop("x-qborg", None)
    assert state.changes(was["work"], known["work"]) == []
    assert bent.in_dom0(lab, _FIREWALL) == was["firewall"]
    assert [key for key in known["dom0"]["features"] if key.startswith("x-qborg")] == [
        "x-qborg-maintenance", "x-qborg-vault"]
    lines = [line for line in lost.keys(lab).split(b"\n") if b"repos/qubes-work" in line]
    assert len(lines) == 1 and lines[0] not in was["keys"]
    found = state.archives(lab)
    assert found[: len(was["archives"])] == was["archives"]
    assert len(found) == len(was["archives"]) + 1
    note = state.noted(lab)
    assert note["step"] == "forget" and not {"restore", "rotation"} & set(note["notes"])
    assert state.gates(lab) == []
    assert "nothing was changed" in person.runs(lab, "qvm-borg-enroll", "work")
    person.runs(lab, "qvm-borg-check", "work")


def test_a_qube_that_is_gone_comes_back(escrowed: Lab, gone: dict[str, Any]) -> None:
    said = person.runs(escrowed, *RECOVER, "--yes")

    assert "label: purple" in said and "template: debian-13" in said
    assert "warnings: " in said and "warnings: 0" not in said  # of root's rc.local
    assert "`qvm-tags work add of-mine`" in said
    bent.in_dom0(escrowed, 'app.domains["work"].tags.add("of-mine")')
    lost.starts(escrowed, "work")
    _is_back(escrowed, gone)
    person.is_refused(escrowed, *RECOVER, code=13, says="work is not gone")


def test_without_escrow_another_qube_of_its_name_gets_its_files(enrolled: Lab) -> None:
    _writes(enrolled)
    person.runs(enrolled, "qvm-borg-backup", "work")
    archives = state.archives(enrolled)
    lost.removes(enrolled, "work")
    person.is_refused(enrolled, *RECOVER, code=14, says="there is no vault yet")
    bent.in_dom0(enrolled, 'vm = app.add_new_vm("AppVM", "work", "red", "debian-13")\n'
                           'vm.netvm = "sys-firewall"')  # fmt: skip

    person.runs(enrolled, "qvm-borg-enroll", "work", "--no-escrow")
    person.runs(enrolled, "qvm-borg-restore", "work", "/home/user", "--in-place", "--archive",
                archives[-1], "--yes")  # fmt: skip

    lost.starts(enrolled, "work")
    assert enrolled.exec("work", ["cat", LETTER], check=True).stdout == b"dear\n"
    found = state.archives(enrolled)
    assert found[: len(archives)] == archives and len(found) == len(archives) + 1
    assert lost.keys(enrolled).count(b"repos/qubes-work") == 1
    person.runs(enrolled, "qvm-borg-backup", "work")


def test_a_person_sees_what_would_be_made_and_declines(
    escrowed: Lab, gone: dict[str, Any]
) -> None:
    before = state.everything(escrowed)

    said = person.is_refused(escrowed, *RECOVER, code=13, says="nobody has agreed")

    assert "label: purple" in said and "netvm=sys-firewall" in said
    assert state.everything(escrowed) == before


def test_a_person_chooses_otherwise(escrowed: Lab, gone: dict[str, Any]) -> None:
    person.runs(escrowed, *RECOVER, "--yes", "--label", "red")

    lost.starts(escrowed, "work")
    assert state.qubesd(escrowed)["work"]["label"] == "red"
    assert escrowed.exec("work", ["cat", LETTER], check=True).stdout == b"dear\n"


def _has_no_record(lab: Lab) -> None:
    lost.removes(lab, "work")
    lost.starts(lab)
    lab.exec("vault", ["rm", "-r", f"{lost.STATE}/records/qubes-work"], check=True)


def _another_has_its_name(lab: Lab) -> None:
    lost.removes(lab, "work")
    bent.in_dom0(lab, 'app.add_new_vm("AppVM", "work", "blue", "debian-13")')


REFUSED = {
    "it-is-here": (lambda _lab: None, RECOVER, 13, "work is not gone"),
    "no-record": (_has_no_record, RECOVER, 14, "no recovery record"),
    "another-qube": (_another_has_its_name, (*RECOVER, "--yes"), 13,
                     "there is a qube named work"),
    "no-such-template": (lambda lab: lost.removes(lab, "work"),
                         (*RECOVER, "--yes", "--template", "absent"), 3,
                         "had the template absent"),
    "no-repository": (lambda _lab: None, ("qvm-borg-recover", "dom0"), 24,
                      "dom0 is no repository"),
}  # fmt: skip


@pytest.mark.parametrize(("bends", "command", "code", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_come_back_is_refused(
    escrowed: Lab, bends: Any, command: tuple[str, ...], code: int, says: str
) -> None:
    bends(escrowed)
    before, keys = set(state.qubesd(escrowed)), lost.keys(escrowed)

    person.is_refused(escrowed, *command, code=code, says=says)

    assert set(state.qubesd(escrowed)) == before and lost.keys(escrowed) == keys


# What a qube does with its manifest before it is lost, and whether dom0 says that it is bent.
STRANGE = {"none": ("rm $MANIFEST", False), "bent": ("printf '\\033[2J' > $MANIFEST", True),
           "too-long": ("yes AppVM | head -c 90000 > $MANIFEST", True)}


@pytest.mark.parametrize(("does", "is_bent"), STRANGE.values(), ids=STRANGE)
def test_without_a_manifest_it_says_what_it_does_not_know(
    escrowed: Lab, does: str, is_bent: bool
) -> None:
    escrowed.exec("work", ["sh", "-euc", "MANIFEST=~/.local/state/qubes-borg/manifest; "
                                         f"echo hi > ~/hi; {does}; qborg-run"], check=True)
    lost.removes(escrowed, "work")

    said = person.runs(escrowed, *RECOVER, "--yes", "--netvm", "sys-firewall")

    assert "not known" in said and ("what dom0 never wrote" in said) == is_bent
    lost.starts(escrowed, "work")
    assert escrowed.exec("work", ["cat", "hi"], check=True).stdout == b"hi\n"


CUTS = {
    "created": ("qubesd", "admin.vm.Create.AppVM+debian-13", "kill-tool"),
    "named": ("qubesd", "admin.vm.property.Set+include_in_backups", "kill-tool"),
    "manifest-read": ("qrexec", "qborg.ReadManifest+qubes-work", "kill-tool"),
    "manifest-read-and-service": ("qrexec", "qborg.ReadManifest+qubes-work", "kill-service"),
    "prepared": ("qrexec", "qborg.PrepareBundle+qubes-work", "kill-tool"),
    "registered": ("qrexec", "qborg.RegisterKey+qubes-work", "kill-tool"),
    "registered-and-keeper": ("qrexec", "qborg.RegisterKey+qubes-work",
                              "kill-qube:borg-maintenance"),
    "published": ("qrexec", "qborg.PublishKeys*", "kill-tool"),
    "published-and-keeper": ("qrexec", "qborg.PublishKeys*", "kill-qube:borg-maintenance"),
    "adopted": ("qrexec", "qborg.AdoptBundle+qubes-work", "kill-qube:work"),
    "restored": ("qrexec", "qborg.RestoreFiles+qubes-work", "kill-tool"),
    "restored-and-gone": ("qrexec", "qborg.RestoreFiles+qubes-work", "kill-qube:work"),
    "backed-up": ("qrexec", "qborg.RunBackup+qubes-work", "kill-tool"),
}


@pytest.mark.kill
@pytest.mark.parametrize(("where", "call", "victim"), CUTS.values(), ids=CUTS)
def test_what_was_cut_is_brought_to_its_end(
    escrowed: Lab, gone: dict[str, Any], where: str, call: str, victim: str
) -> None:
    escrowed.faults.clear()
    escrowed.faults.add(where=where, match=call, action=victim, when="after", n=0)
    escrowed.run([*RECOVER, "--yes"], timeout=900)
    assert any(entry["hit"] for entry in escrowed.trace())
    escrowed.faults.clear()

    person.runs(escrowed, *RECOVER, "--yes")

    bent.in_dom0(escrowed, 'app.domains["work"].tags.add("of-mine")')
    lost.starts(escrowed, "work")
    _is_back(escrowed, gone | {"archives": state.archives(escrowed)[:-1]})


@pytest.mark.parametrize("loses", [lost.all_but_paper, lost.all_but_a_database])
def test_of_a_kit_or_a_database_alone_the_files_come_back(
    escrowed: Lab, loses: Callable[[Lab], None]
) -> None:
    _writes(escrowed)
    person.runs(escrowed, "qvm-borg-backup", "work")
    loses(escrowed)

    person.runs(escrowed, *lost.RECOVER, "--vault", "vault", "--fingerprint",
                person.fingerprint(escrowed))  # fmt: skip
    person.runs(escrowed, *RECOVER, "--yes")

    lost.starts(escrowed, "work")
    assert escrowed.exec("work", ["cat", LETTER], check=True).stdout == b"dear\n"
    assert state.noted(escrowed)["step"] == "forget"
    person.runs(escrowed, "qvm-borg-check", "work")
