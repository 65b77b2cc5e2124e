"""Which account a vault tells of: the one that is asked for, or the only one."""

from pathlib import Path

import pytest

from qborg_borg import recovery_record
from qborg_service.failure import ServiceFailure
from qborg_vault.services.describe_account import ANY, find
from qborg_vault.store import Vault
from qborg_wire.names import Repository
from unit.vault import records
from unit.vault.records import KEEPER, WORK

LAPTOP = Repository("lap", "keeper")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with one account and a repository."""
    made = Vault(tmp_path / "records")
    made.add(records.account(), KEEPER, "keeper")
    made.add(records.repository(), WORK, "work")
    return made


def _takes_another(vault: Vault) -> None:
    assert [*vault.take_back([recovery_record.parse(records.account(about=LAPTOP))])]


@pytest.mark.parametrize("machine", ["dom", ANY])
def test_the_only_account_is_found_with_its_name_or_without(vault: Vault, machine: str) -> None:
    vault.add(records.account(1764000001), KEEPER, "keeper")

    assert find(vault, machine).made == 1764000001
    assert vault.machines() == ["dom"]


def test_of_several_one_has_to_be_named(vault: Vault) -> None:
    _takes_another(vault)

    assert find(vault, "lap").repository == LAPTOP
    with pytest.raises(ServiceFailure) as caught:
        find(vault, ANY)
    assert (caught.value.cause, caught.value.detail) == ("accounts-several", "dom lap")


@pytest.mark.parametrize("machine", ["lap", ANY])
@pytest.mark.parametrize("holds", [False, True], ids=["nothing", "a-clients-record"])
def test_where_there_is_none_it_is_said(tmp_path: Path, machine: str, holds: bool) -> None:
    vault = Vault(tmp_path / "records")
    if holds:
        vault.add(records.repository(), WORK, "work")

    with pytest.raises(ServiceFailure) as caught:
        find(vault, machine)
    assert caught.value.cause == "account-missing"


def test_a_damaged_one_is_told(vault: Vault) -> None:
    (vault.root / str(KEEPER) / "000001.json").write_bytes(b"{")

    with pytest.raises(ServiceFailure) as caught:
        find(vault, ANY)
    assert caught.value.cause == "record-refused"
