"""A restore as dom0 orders it: what is shown, asked, sent to whom, and put back."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from qvm_borg import elsewhere, errors
from qvm_borg.tools import restore
from unit.dom0.backing_up import enrol
from unit.dom0.honest import Honest
from unit.dom0.machine import answer, failure
from unit.dom0.test_client_keys import _calls

ROLE, MARK = "service.qborg-client", "x-qborg-client"
PATH = "/home/user/a"


def _run(machine: Honest, *args: str) -> int:
    machine.app.trace.clear()
    code: int = restore.main(["work", *args], app=machine.app)
    return code


def test_archives_and_files_are_shown_filtered(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(escrowed, "--list") == 0
    made = datetime.fromtimestamp(1769854620)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"{made:%Y-%m-%d %H:%M}  work-2026-01-31T10:17:00",
        "not shown, as too many or with a name that cannot be: 3"]

    assert _run(escrowed, "--list", PATH) == 0
    assert capsys.readouterr().out.splitlines() == [
        "/home/user/a/", "/home/user/a/_[2J_", "work-2026-01-31T10:17:00: 2 files, 3 B"]

    assert _run(escrowed, "--list", "--json", "--at", "2026-01-31") == 0
    assert json.loads(capsys.readouterr().out)["names"][1] == "/home/user/a/\x1b[2J\udcff"


LIES = {
    "ListArchives": {"archives": "[1]"}, "ListFiles": {"names": '["\x1b"]'},
    "ListFiles-order": {"names": '{"/": 1}'}, "ListFiles-archive": {"archive": "none such"},
}


@pytest.mark.parametrize("name", LIES)
def test_a_list_outside_of_the_contract_is_none(
    escrowed: Honest, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    escrowed.values[name.partition("-")[0]] = LIES[name]

    code = _run(escrowed, "--list", *([PATH] if "Files" in name else []))

    assert code == errors.WireError.exit_code and "\x1b" not in "".join(capsys.readouterr())


def test_in_place_nobody_is_overwritten_unasked(escrowed: Honest) -> None:
    assert _run(escrowed, PATH, "--in-place") == errors.NotConfirmed.exit_code
    assert _calls(escrowed) == ["ListFiles"]

    assert _run(escrowed, PATH, "--in-place", "--yes") == 0
    assert _calls(escrowed) == ["RestoreFiles"]

    escrowed.values["ListFiles"] = {"there": "0"}
    assert _run(escrowed, PATH, "--in-place") == 0


ARCHIVE = "work-2026-01-31T10:17:00"
ASKS: dict[str, tuple[tuple[str, ...], str]] = {
    "in-place": ((PATH, "--in-place", "--yes"), "begun:latest"),
    "in-place-latest": ((PATH, "--in-place", "--yes", "--archive", "latest"), "latest"),
    "in-place-agreed": ((PATH, "--in-place"), ARCHIVE),  # what was shown
    "beside": ((PATH, "--to-directory", "/b"), "latest"),
}


@pytest.mark.parametrize(("args", "archive"), ASKS.values(), ids=ASKS)
def test_only_in_place_it_is_asked_for_what_a_cut_one_began(
    escrowed: Honest, tmp_path: Path, args: tuple[str, ...], archive: str
) -> None:
    escrowed.values["ListFiles"] = {"there": "0"}
    replies = answer(archive=ARCHIVE, files="2", bytes="3", warnings="0")
    escrowed.answers["RestoreFiles"] = [
        ["read"], ["keep", str(tmp_path / "asked")], *replies[1:]]

    assert _run(escrowed, *args) == 0

    assert json.loads((tmp_path / "asked").read_bytes())["archive"] == archive


def _role(machine: Honest, name: str) -> str | None:
    return machine.app.domains.all[name].features.own.get(ROLE)


def test_another_qube_is_asked_first_and_is_afterwards_as_it_was(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    escrowed.qube("personal", "Halted")

    assert _run(escrowed, PATH, "--to", "personal") == 0

    assert _calls(escrowed) == ["DescribeRecord", "ReceiveFiles", "ReleaseRecord",
                                "LendRepository", "ReceiveFiles", "DescribeUse"]
    assert "are in ~/restored/work-2026-01-31T10:17:00" in capsys.readouterr().out
    assert escrowed.app.domains.all["personal"].state == "Halted"
    assert _role(escrowed, "personal") is None
    assert [gate.split(" ")[0] for gate in escrowed.gates[-2:]] == [
        "qborg.TakeRecord", "qborg.ServeRepository"]


# What a command does in a qube that it has started, which somebody uses by its end, or by then not.
USES: dict[str, tuple[tuple[str, ...], str]] = {
    "restored": ((PATH, "--to-directory", "/b"), "work"), "listed": (("--list",), "work"),
    "into-another": (("--to", "personal"), "personal"),
}


@pytest.mark.parametrize("program", ["xterm", "none"])
@pytest.mark.parametrize(("args", "name"), USES.values(), ids=USES)
def test_who_is_used_by_then_stays_on(
    escrowed: Honest, args: tuple[str, ...], name: str, program: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    escrowed.qube("personal", "Halted")
    escrowed.app.domains.all["work"].state = "Halted"
    escrowed.users[name] = program

    assert _run(escrowed, *args) == 0

    used, said = program != "none", capsys.readouterr().out
    assert escrowed.app.domains.all[name].state == ("Running" if used else "Halted")
    assert (f"{name} was started for this and stays on: xterm runs there" in said) == used
    assert _role(escrowed, "personal") is None


def test_who_ran_before_is_not_asked(escrowed: Honest) -> None:
    assert _run(escrowed, PATH, "--to-directory", "/b") == 0

    assert _calls(escrowed) == ["RestoreFiles"]


def test_an_enrolled_one_keeps_its_role(escrowed: Honest) -> None:
    own = escrowed.qube("personal").features.own
    own["x-qborg"] = escrowed.app.domains.all["work"].features.own["x-qborg"]
    own[ROLE] = "1"

    assert _run(escrowed, "--to", "personal", "--to-directory", "/home/user/b") == 0

    assert _role(escrowed, "personal") == "1"


REFUSED = {
    "the-vault": ("vault", errors.SettingsError), "itself": ("work", errors.SettingsError),
    "the-keeper": ("borg-maintenance", errors.SettingsError),
    "a-template": ("debian-13", errors.SettingsError),
    "nobody": ("nobody", errors.QubeUnavailable), "bare": ("bare", errors.TemplateError),
}


@pytest.mark.parametrize(("name", "kind"), REFUSED.values(), ids=REFUSED)
def test_who_cannot_get_files_is_sent_nothing(
    escrowed: Honest, name: str, kind: type[errors.QvmBorgError]
) -> None:
    escrowed.app.add("bare")

    assert _run(escrowed, "--to", name) == kind.exit_code

    assert not {"ReleaseRecord", "ReceiveFiles"} & set(_calls(escrowed))


@pytest.mark.parametrize("to", [("--to", "personal"), ("--to-disposable",)], ids=["to", "disp"])
def test_what_the_qube_refuses_leaves_nothing(escrowed: Honest, to: tuple[str, ...]) -> None:
    escrowed.qube("personal", "Halted")
    escrowed.answers["ReceiveFiles"] = failure("borg-unsafe", "it is 1.4.0")

    assert _run(escrowed, *to) == errors.TemplateError.exit_code

    assert "ReleaseRecord" not in _calls(escrowed)
    assert elsewhere.DISPOSABLE not in escrowed.app.domains.all
    assert MARK not in escrowed.app.domains.all["dom0"].features.own
    assert _role(escrowed, "personal") is None


def test_another_record_than_dom0_knows_is_noticed(escrowed: Honest) -> None:
    escrowed.qube("personal")
    escrowed.values["ReceiveFiles"] = {"record": "e" * 64}

    assert _run(escrowed, "--to", "personal") == errors.WireError.exit_code


def test_a_disposable_stays_without_network(escrowed: Honest) -> None:
    assert _run(escrowed, "--to-disposable") == 0

    made = escrowed.app.domains.all[elsewhere.DISPOSABLE]
    assert (made.klass, made.netvm, made.state) == ("DispVM", None, "Running")
    assert MARK not in escrowed.app.domains.all["dom0"].features.own
    assert _run(escrowed, "--to-disposable") == errors.SettingsError.exit_code
    assert made.state == "Running"


def test_what_a_killed_run_left_is_made_anew(escrowed: Honest) -> None:
    left = escrowed.qube(elsewhere.DISPOSABLE)
    escrowed.app.domains.all["dom0"].features.own[MARK] = f"creating:{elsewhere.DISPOSABLE}"

    assert _run(escrowed, "--to-disposable") == 0

    assert escrowed.app.domains.all[elsewhere.DISPOSABLE].uuid != left.uuid


def test_another_qube_that_is_being_made_stays_marked(escrowed: Honest) -> None:
    escrowed.qube("office")
    own = escrowed.app.domains.all["dom0"].features.own
    own[MARK] = "creating:office"

    assert _run(escrowed, "--to-disposable") == errors.SettingsError.exit_code
    assert own[MARK] == "creating:office"


def test_a_new_qube_is_made_once_somebody_agrees(escrowed: Honest) -> None:
    escrowed.qube("sys-firewall")
    assert _run(escrowed, "--to-new", "work-2") == errors.EnrolmentRefused.exit_code
    assert "work-2" not in escrowed.app.domains.all

    escrowed.answers["ReceiveFiles"] = failure("internal")
    assert _run(escrowed, "--to-new", "work-2", "--yes") == errors.ServiceFailed.exit_code
    begun = escrowed.app.domains.all["work-2"].uuid
    del escrowed.answers["ReceiveFiles"]
    assert _run(escrowed, "--to-new", "work-2", "--yes") == 0

    assert escrowed.app.domains.all["work-2"].uuid == begun
    assert escrowed.app.domains.all["work-2"].state == "Halted"
    assert MARK not in escrowed.app.domains.all["dom0"].features.own
    assert _run(escrowed, "--to-new", "work-2", "--yes") == errors.EnrolmentRefused.exit_code


def test_the_files_of_a_qube_that_is_gone_come_into_another(escrowed: Honest) -> None:
    escrowed.qube("personal")
    del escrowed.app.domains.all["work"]

    assert _run(escrowed, PATH, "--to", "personal", "--at", "2026-01-31T12:00") == 0


# What is named, and the repository that is meant; of the last one dom0's record cannot be read.
NAMED = {"qubes-work": "qubes-qubes-work", "work": "qubes-work", "qubes-gone": "qubes-gone",
         "qubes-home": "qubes-qubes-home"}


@pytest.mark.parametrize(("name", "whose"), NAMED.items(), ids=NAMED)
def test_the_name_of_an_enrolled_qube_is_not_that_of_anothers_repository(
    escrowed: Honest, name: str, whose: str
) -> None:
    enrol(escrowed, "qubes-work")
    enrol(escrowed, "home")
    enrol(escrowed, "qubes-home").features.own["x-qborg"] = "{}"

    found, known = escrowed.session().original(name)

    assert str(found) == whose and (known is None) == (name in ("qubes-gone", "qubes-home"))
