"""The old scripts' keys taken over: a run that is killed amid it is gone on with, either way."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from qborg_maintenance import admin_key, adoption, keys, registry, repository
from qborg_maintenance.registry import IMPORTED, Entry
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from unit.maintenance.directory import WAYS, Account
from unit.maintenance.example import ADMIN_LINE, MACHINE, SETTINGS
from unit.maintenance.test_old_keys import PASSPHRASE, old_folder  # noqa: F401  (a fixture)

WORK = Repository(MACHINE, "work")


@pytest.fixture(name="state")
def killed_state(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> State:
    """Answer a maintenance qube whose import of work was killed before it was registered."""
    account = Account(tmp_path / "account")
    for name, data in ((".ssh/authorized_keys", ADMIN_LINE), ("repos/vm-work/config", b"")):
        (account.home / name).parent.mkdir(parents=True)
        (account.home / name).write_bytes(data)
    server = Mock(files=WAYS["shell"](account))
    for name in ("configured", "living_session"):
        monkeypatch.setattr(adoption, name, lambda *_args: Mock(
            __enter__=lambda _self: server, __exit__=lambda *_args: None))
    monkeypatch.setattr(repository, "try_passphrase", lambda *_args: None)
    state = State(tmp_path / "state")
    admin_key.ensure(state, MACHINE)

    def killed(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(registry, "store", killed)
        adoption.adopt(state, SETTINGS, WORK, folder)
    assert not state.registry.exists() and state.keys_of(WORK).exists()
    return state


def _is_imported(state: State) -> Entry:
    entry, secrets = keys.require(state, SETTINGS, WORK)
    assert (entry.origin, entry.former) == (IMPORTED, "vm-work")
    assert secrets.passphrase().reveal().decode() == PASSPHRASE
    return entry


def test_a_killed_import_is_gone_on_with(state: State, folder: Path) -> None:
    assert adoption.adopt(state, SETTINGS, WORK, folder)

    _is_imported(state)
    assert not adoption.adopt(state, SETTINGS, WORK, folder)


def test_without_the_directory_it_is_an_import_all_the_same(state: State, folder: Path) -> None:
    made, created = keys.make(state, SETTINGS, WORK)

    assert created and made == _is_imported(state)
    assert not adoption.adopt(state, SETTINGS, WORK, folder)


def test_a_plain_host_does_not_get_them(state: State) -> None:
    with pytest.raises(ServiceFailure, match="is a qube's"):
        keys.make(state, SETTINGS, WORK, registry.HOST)

    assert not state.registry.exists()


@pytest.mark.parametrize("file", ["borgpass", "former-name", "dom-work.openssh"])
def test_other_keys_that_lie_there_stay(state: State, folder: Path, file: str) -> None:
    keys.make(state, SETTINGS, Repository(MACHINE, "mail"))
    state.registry.unlink()
    other = {"borgpass": b"another one\n", "former-name": b"vm-mail"}
    private = (state.keys_of(Repository(MACHINE, "mail")) / "dom-mail.openssh").read_bytes()
    lies = state.keys_of(WORK) / file
    lies.write_bytes(other.get(file, private))
    before = lies.read_bytes()

    with pytest.raises(ServiceFailure, match="there are other keys of dom-work"):
        adoption.adopt(state, SETTINGS, WORK, folder)

    assert lies.read_bytes() == before and not state.registry.exists()
