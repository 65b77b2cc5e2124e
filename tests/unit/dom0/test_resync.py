"""dom0's record made anew: lost or wrong, it comes right, and one enrolment more proves it."""

import json
from collections.abc import Callable

import pytest

from qvm_borg import errors, record
from qvm_borg.tools import enroll, status
from unit.dom0.honest import HOST_KEY, Honest, evidence, run
from unit.dom0.machine import Actions, answer, failure
from unit.dom0.test_escrow import noted


def _resyncs(machine: Honest, *args: str) -> int:
    code: int = status.main(["--resync", *args], app=machine.app)
    return code


def _enrols(machine: Honest, *args: str) -> int:
    code: int = enroll.main(["work", *args], app=machine.app)
    return code


def _lacks(machine: Honest) -> None:
    del machine.app.domains.all["work"].features.own["x-qborg"]


def _says(**changes: object) -> Callable[[Honest], None]:
    def bend(machine: Honest) -> None:
        features = machine.app.domains.all["work"].features.own
        features["x-qborg"] = json.dumps({**json.loads(features["x-qborg"]), **changes})

    return bend


BENT: dict[str, Callable[[Honest], None]] = {
    "lost": _lacks,
    "damaged": _says(more="?"),
    "another-key": _says(fingerprint=HOST_KEY),
    "other-digests": _says(digests=dict.fromkeys(("bundle", "key", "record", "proof"), "9" * 64)),
    "an-earlier-step": _says(step="create", digests={}, times={}, notes={"escrow": "in the vault"}),
    "without-escrow": _says(notes={"escrow": record.NO_ESCROW}),
    "nothing-is-wrong": lambda machine: None,
}


@pytest.mark.parametrize("bend", BENT.values(), ids=BENT)
def test_a_lost_or_wrong_record_comes_right(
    escrowed: Honest, bend: Callable[[Honest], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = noted(escrowed)
    bend(escrowed)

    assert _resyncs(escrowed, "work") == 0
    assert "qubes-work is as the others" in capsys.readouterr().out
    after = noted(escrowed)
    assert (after.uuid, after.fingerprint) == (before.uuid, before.fingerprint)
    assert after.step == "deliver" and after.times == {"proved": "0"} and after.escrowed
    assert after.digests == {key: before.digests[key] for key in ("bundle", "key", "record")}
    assert _enrols(escrowed) == 0 and "work: enrolled as" in capsys.readouterr().out
    assert _enrols(escrowed) == 0 and "nothing was changed" in capsys.readouterr().out
    assert noted(escrowed).step == "forget"


def test_what_it_started_it_stops_and_the_server_is_accepted(escrowed: Honest) -> None:
    escrowed.app.domains.all["work"].state = "Halted"
    escrowed.app.trace.clear()

    assert _resyncs(escrowed, "work") == 0

    calls = [line for line in escrowed.app.trace if not line.startswith("set ")]
    assert calls == [
        "start borg-maintenance", "start vault", "call borg-maintenance qborg.ObserveServer+",
        "start work", "call work qborg.DescribeClient+",
        "call work qborg.DescribeUse+", "shutdown work",
        "call vault qborg.DescribeRecord+qubes-work", "shutdown vault",
        "shutdown borg-maintenance"]


def test_what_somebody_uses_by_then_stays_on(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    escrowed.app.domains.all["work"].state, escrowed.users["work"] = "Halted", "xterm"

    assert _resyncs(escrowed, "work") == 0

    assert escrowed.app.domains.all["work"].state == "Running"
    assert "stays on: xterm runs there" in capsys.readouterr().out


def test_without_a_name_all_that_were_enrolled_are_rebuilt(escrowed: Honest) -> None:
    _lacks(escrowed)
    escrowed.qube("never")

    assert _resyncs(escrowed) == 0 and noted(escrowed).step == "deliver"
    assert "x-qborg" not in escrowed.app.domains.all["never"].features.own


def test_with_nothing_enrolled_nothing_is_asked_for(ready: Honest) -> None:
    ready.answers["ObserveServer"] = answer(evidence="none")

    assert _resyncs(ready) == 0


# What the registry and the server show, and what becomes of it in the record.
SHOWN = {
    "by-itself": ({"origin": "client"}, {"keys": record.BY_CLIENT}, "deliver"),
    "by-itself-beside-an-imported-passphrase": (
        {"origin": "mixed"}, {"keys": record.BY_CLIENT, "secrets": record.IMPORTED}, "deliver"),
    "imported": ({"origin": "imported"}, {"secrets": record.IMPORTED}, "deliver"),
    "key-file": ({"key": "none"}, {"encryption": record.KEYFILE}, "deliver"),
    "revoked": ({"origin": "revoked", "fingerprint": "none"}, {}, record.REVOKING),
}


@pytest.mark.parametrize(("shown", "notes", "step"), SHOWN.values(), ids=SHOWN)
def test_the_registry_and_the_server_tell_how_its_key_came_about(
    escrowed: Honest, shown: dict[str, str], notes: dict[str, str], step: str
) -> None:
    _lacks(escrowed)
    escrowed.answers["ObserveServer"] = answer(evidence=evidence(**shown))

    assert _resyncs(escrowed, "work") == 0
    wanted = {"encryption": record.REPOKEY, "escrow": record.ESCROWED, **notes}
    assert noted(escrowed).notes == wanted and noted(escrowed).step == step


def test_without_a_bundle_or_a_vault_it_is_not_told_to_have_either(ready: Honest) -> None:
    run(ready)
    _lacks(ready)
    ready.bundle.clear()

    assert _resyncs(ready, "work") == 0
    assert noted(ready).step == "create" and not noted(ready).escrowed
    assert noted(ready).digests == {"key": "2" * 64}


def test_an_unfinished_rotation_is_kept(escrowed: Honest) -> None:
    notes = {record.ROTATION: "0" * 32 + " 1234 key", "archive": "work-1",
             "escrow": "in the vault", record.FORMER: "qubes-work.former1",
             record.KEYS: record.BY_CLIENT}
    born = {"former": "1" * 64, "repository": "3" * 64}
    _says(notes=notes, digests=born)(escrowed)

    assert _resyncs(escrowed, "work") == 0
    for name in (record.ROTATION, record.FORMER, record.KEYS):  # the registry says `made` still
        assert noted(escrowed).notes[name] == notes[name]
    assert noted(escrowed).digests.items() >= born.items()
    assert "archive" not in noted(escrowed).notes


# Who is none of ours, or does not answer: nothing is written.
REFUSED: dict[str, tuple[str, Actions, int]] = {
    "not-registered": ("ObserveServer", answer(evidence=evidence(
        origin="none", fingerprint="none")), errors.NotEnrolled.exit_code),
    "a-plain-hosts": (
        "ObserveServer", answer(evidence=evidence(origin="host")), errors.NotEnrolled.exit_code),
    "server-away": (
        "ObserveServer", failure("server-unreachable"), errors.ServerUnreachable.exit_code),
    "the-qube-dies": (
        "DescribeClient", [["read"], ["exit", 255]], errors.QubeUnavailable.exit_code),
    "the-vault-lies": ("DescribeRecord", answer(record="x", key="none", made="1", versions="1",
                                                damaged="no"),
                       errors.WireError.exit_code),
}


@pytest.mark.parametrize(("service", "says", "code"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_known_for_sure_is_not_written(
    escrowed: Honest, service: str, says: Actions, code: int
) -> None:
    escrowed.answers[service] = says
    before = noted(escrowed)

    assert _resyncs(escrowed, "work") == code and noted(escrowed) == before


def test_a_copy_stays_one(escrowed: Honest) -> None:
    _says(uuid="0" * 8 + "-0000-0000-0000-" + "0" * 12)(escrowed)

    assert _resyncs(escrowed, "work") == errors.NotEnrolled.exit_code


@pytest.mark.parametrize("args", [("--json",)])
def test_it_goes_with_no_other_way_to_tell(escrowed: Honest, args: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        _resyncs(escrowed, *args)
