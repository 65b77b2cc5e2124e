"""A qube that is gone: what dom0 asks, makes and tells, and when it makes nothing."""

import pytest

from qvm_borg import errors, record
from qvm_borg.tools import backup, enroll, recover, terminal
from unit.dom0.honest import Honest
from unit.dom0.machine import failure
from unit.dom0.test_client_keys import NEW, OTHER, _calls
from unit.dom0.test_escrow import noted


@pytest.fixture
def lost(escrowed: Honest) -> Honest:
    """Enrolled and removed; whoever comes next makes another key."""
    del escrowed.app.domains.all["work"]
    escrowed.keys["qubes-work"] = OTHER
    escrowed.qube("sys-firewall")
    escrowed.rotates.add("work")
    escrowed.renewed["qubes-work"] = NEW["record"]
    return escrowed


def _recover(machine: Honest, *args: str) -> int:
    machine.app.trace.clear()
    code: int = recover.main(["work", *args], app=machine.app)
    return code


def _mark(machine: Honest) -> str | None:
    return machine.app.domains.all["dom0"].features.own.get("x-qborg-client")


def test_it_is_made_gets_its_files_and_only_then_a_backup(
    lost: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _recover(lost, "--yes") == 0

    called = _calls(lost)
    assert called.index("AdoptBundle") < called.index("RestoreFiles") < called.index("RunBackup")
    assert "class: AppVM" in capsys.readouterr().out
    assert _mark(lost) is None
    assert noted(lost).step == "forget" and record.RESTORE not in noted(lost).notes


@pytest.mark.parametrize("typed", [None, "", "n", "YES, or no"], ids=repr)
def test_nobody_agrees_and_nothing_is_made(
    lost: Honest, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    typed: str | None,
) -> None:
    """None: there is no terminal where somebody could be asked."""
    monkeypatch.setattr(terminal, "is_there", lambda: typed is not None)
    monkeypatch.setattr("builtins.input", lambda _question: typed)

    assert _recover(lost) == errors.EnrolmentRefused.exit_code

    assert "work" not in lost.app.domains.all and _mark(lost) is None
    said = capsys.readouterr()
    assert "class: AppVM" in said.out and "--yes" in said.err


BENT = {
    "a-role": "class AppVM\nlabel red\nrole vault",
    "dom0": "class AdminVM\nlabel red",
    "nothing": "",
}


@pytest.mark.parametrize("untrusted_text", BENT.values(), ids=BENT)
def test_a_manifest_that_dom0_never_wrote_is_left_out(
    lost: Honest, untrusted_text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lost.manifest = untrusted_text

    assert _recover(lost) == errors.EnrolmentRefused.exit_code

    said = capsys.readouterr().out
    assert "what dom0 never wrote: left out" in said
    assert "not known" in said or "omitted" in said


@pytest.mark.parametrize("service", ["PrepareBundle", "AdoptBundle", "RestoreFiles", "RunBackup"])
def test_what_failed_goes_on_with_the_qube_that_was_made(lost: Honest, service: str) -> None:
    lost.answers[service] = failure("internal")
    assert _recover(lost, "--yes") == errors.ServiceFailed.exit_code
    made = lost.app.domains.all["work"].uuid
    del lost.answers[service]

    if service in ("AdoptBundle", "RestoreFiles"):
        assert _recover(lost) == errors.EnrolmentRefused.exit_code, "files go over those there"
        assert enroll.main(["work"], app=lost.app) == errors.EnrolmentRefused.exit_code
        assert backup.main(["work"], app=lost.app) == errors.EnrolmentRefused.exit_code

    assert _recover(lost, "--yes") == 0

    assert lost.app.domains.all["work"].uuid == made
    assert "ReadManifest" not in _calls(lost) and _mark(lost) is None
    assert ("RestoreFiles" in _calls(lost)) == (service != "RunBackup")
    assert "RunBackup" in _calls(lost)
    assert noted(lost).step == "forget"


def test_one_whose_proof_failed_before_its_note_goes_on_with_the_qube_that_was_made(
    lost: Honest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest is read to make the qube, and once more before its repository is taken over."""
    honest, told = lost._ReadManifest, iter([{}, {"record": "e" * 64}])
    monkeypatch.setattr(lost, "_ReadManifest", lambda vm, argument: {
        **honest(vm, argument), **next(told, {})})
    assert _recover(lost, "--yes") == errors.WireError.exit_code
    made = lost.app.domains.all["work"].uuid
    assert "PrepareBundle" not in _calls(lost) and _mark(lost) == "creating:work"

    assert _recover(lost) == errors.EnrolmentRefused.exit_code, "it shows what it was, and asks"
    assert _recover(lost, "--yes") == 0

    assert lost.app.domains.all["work"].uuid == made and _mark(lost) is None
    assert "RestoreFiles" in _calls(lost) and noted(lost).step == "forget"


def test_a_qube_that_is_here_is_not_recovered(escrowed: Honest) -> None:
    assert _recover(escrowed, "--yes") == errors.EnrolmentRefused.exit_code

    assert not _calls(escrowed)


def test_another_qube_that_is_being_made_stays_marked(escrowed: Honest) -> None:
    escrowed.app.domains.all["dom0"].features.own["x-qborg-client"] = "creating:office"

    assert _recover(escrowed, "--yes") == errors.EnrolmentRefused.exit_code

    assert _mark(escrowed) == "creating:office"


def test_a_qube_of_that_name_is_not_taken(lost: Honest, capsys: pytest.CaptureFixture[str]) -> None:
    lost.qube("work")

    assert _recover(lost, "--yes") == errors.EnrolmentRefused.exit_code

    assert not _calls(lost)
    assert "--continue work" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["template", "netvm"])
def test_what_is_not_here_is_said_before_anything_is_made(
    lost: Honest, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = {"template": "template absent", "netvm": "property netvm=absent"}[option]
    lost.manifest = f"class AppVM\nlabel red\n{line}"

    assert _recover(lost, "--yes") == errors.SettingsError.exit_code

    assert "work" not in lost.app.domains.all and _mark(lost) is None
    assert f"--{option} NAME" in capsys.readouterr().err


def test_what_matters_most_is_read_last(lost: Honest, capsys: pytest.CaptureFixture[str]) -> None:
    lost.manifest = "\n".join((
        "class AppVM", "label red", "property netvm=sys-firewall", "firewall action=accept",
        *["omitted property x"] * 200))

    assert _recover(lost) == errors.EnrolmentRefused.exit_code

    told = capsys.readouterr().out.splitlines()[-4:]
    assert [line.strip() for line in told] == [
        "class: AppVM", "label: red", "property: netvm=sys-firewall", "firewall: action=accept"]


def test_an_older_archive_can_be_chosen(lost: Honest) -> None:
    assert _recover(lost, "--yes", "--archive", "work-2026-01-31T10:17:00") == 0


def test_a_keyholder_does_not_change_how_a_repository_is_encrypted(escrowed: Honest) -> None:
    escrowed.qube("mail")
    escrowed.answers["InitRepository"] = failure("internal")
    assert enroll.main(["mail", "--encryption", "keyfile-blake2"], app=escrowed.app) != 0
    del escrowed.answers["InitRepository"]
    escrowed.encryption = "repokey-blake2"

    assert enroll.main(["mail"], app=escrowed.app) == errors.EnrolmentRefused.exit_code
