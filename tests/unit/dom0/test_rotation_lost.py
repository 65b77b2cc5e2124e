"""A rotation where something is lost: its name in dom0, or the vault that has what it renews."""

from dataclasses import replace

import pytest

from qborg_wire.names import fingerprint
from qvm_borg import errors, record
from qvm_borg.tools import enroll, rotate
from unit.dom0 import setting_up
from unit.dom0.honest import Honest, run
from unit.dom0.machine import Actions, Vm, failure
from unit.dom0.test_client_keys import NEW, OTHER, turns
from unit.dom0.test_escrow import noted


def _has_begun_another(machine: Honest) -> None:
    """Have the qube refuse every name but an enrolment's, as with one of a rotation of before."""
    def handle(vm: Vm, service: str, argument: str) -> Actions:
        known = noted(machine).notes.get("rotation", "")
        if service == "PrepareBundle" and not known.startswith("0" * 32):
            return failure("rotation-unfinished")
        return Honest.handle(machine, vm, service, argument)

    machine.app.handler = handle


def test_a_rotation_whose_name_dom0_has_lost_is_ended_by_the_next_enrolment(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    vm = escrowed.app.domains.all["work"]
    leaked = replace(noted(escrowed), notes={**noted(escrowed).notes, "secrets": record.IMPORTED})
    vm.features.own["x-qborg"] = record.render(leaked)
    turns(escrowed)
    _has_begun_another(escrowed)

    assert rotate.main(["work"], app=escrowed.app) == errors.NotConfirmed.exit_code
    assert "hint: `qvm-borg-enroll work` finishes it" in capsys.readouterr().err
    assert enroll.main(["work"], app=escrowed.app) == 0

    now = noted(escrowed)
    assert now.fingerprint == fingerprint(OTHER) and "rotation" not in now.notes
    assert now.digests["record"] == NEW["record"] and now.step == "forget"
    assert "secrets" in now.notes, "nobody knows whether both are new"


def test_after_a_vault_that_is_gone_another_one_gets_the_records(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    del escrowed.app.domains.all["vault"]
    escrowed.kept.clear()
    escrowed.qube("other", "Halted").netvm = None
    with pytest.raises(errors.SettingsError, match="vault qube is gone") as told:
        setting_up.run(escrowed)
    assert "`qvm-borg-setup --vault NAME`" in told.value.hint

    setting_up.run(escrowed, "--vault", "other")

    assert "other has the account's record" in capsys.readouterr().out
    with pytest.raises(errors.EscrowMissing, match="does not have the record of work") as told:
        run(escrowed, escrow=True)
    assert "`qvm-borg-rotate work`" in told.value.hint
    turns(escrowed)
    assert rotate.main(["work"], app=escrowed.app) == 0
    assert noted(escrowed).step == "forget" and noted(escrowed).times["proved"] != "0"
