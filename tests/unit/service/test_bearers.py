"""Every object that holds a secret, printed in every way: it tells nothing."""

import importlib
import pkgutil
import pprint
import traceback
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import qborg_borg
import qborg_client
import qborg_maintenance
import qborg_service
import qborg_vault
import qborg_worker
from qborg_borg import recovery_record
from qborg_borg.bundle import Bundle, match_bundle
from qborg_borg.command import Access
from qborg_borg.outcome import Outcome
from qborg_borg.process import _Reading
from qborg_borg.recovery_record import RecoveryRecord
from qborg_maintenance.authorized_keys import Document
from qborg_maintenance.escrow import Escrowed
from qborg_maintenance.old_keys import OldKeys
from qborg_maintenance.swap import Swap
from qborg_maintenance.way_back import WayBack
from qborg_service.call import Call
from qborg_service.process import Finished
from qborg_service.secret import Secret
from qborg_vault.keepass import Key
from qborg_wire.services import SERVICES
from unit.borg import bundles
from unit.vault import records

CANARY = bundles.PASSPHRASE
KEY_LINE = bundles.key_pair()[0].split("\n")[2]
PACKAGES = (qborg_borg, qborg_client, qborg_maintenance, qborg_service, qborg_vault, qborg_worker)
# One of each class that may hold a secret, with one in it.
BEARERS = (
    match_bundle(bundles.record(), "work"),
    Access("ssh://host/./repos/work", "borg14", "ssh", Secret(CANARY.encode())),
    Outcome(0, None, (), CANARY.encode()),
    _Reading(9, None, None, bytearray(CANARY.encode()), bytearray(CANARY.encode())),
    Call(SERVICES["InstallBundle"], None, {}, bundles.record(), "keeper", lambda _progress: None),
    Escrowed(Secret(CANARY.encode()), "ab" * 32),
    recovery_record.parse(records.repository()),
    Key(Secret(CANARY.encode()), Path("/home/user/my.keyx")),
    Finished(0, CANARY.encode(), CANARY.encode()),
    OldKeys("work", Secret(KEY_LINE.encode()), "ssh-ed25519 A", Secret(CANARY.encode())),
    Secret(CANARY.encode()),
)
PUBLIC = {Document, Swap, WayBack}  # the server's list of public keys


def _caught(bearer: object) -> str:
    try:
        raise ValueError(bearer)
    except ValueError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True)
                       .format())  # fmt: skip


PRINTED = {
    "repr": repr,
    "str": str,
    "format": lambda bearer: f"{bearer} {bearer!r}",
    "pprint": pprint.pformat,
    "in-a-list": lambda bearer: str([bearer]),
    "traceback": _caught,
}


@pytest.mark.parametrize("show", PRINTED.values(), ids=PRINTED)
@pytest.mark.parametrize("bearer", BEARERS, ids=lambda bearer: type(bearer).__name__)
def test_it_prints_no_secret(bearer: object, show: Callable[[object], str]) -> None:
    shown = show(bearer)

    assert type(bearer).__name__ in shown or "<secret>" in shown
    assert CANARY not in shown and KEY_LINE not in shown


def _classes() -> Iterator[type]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            yield from (each for each in vars(module).values() if isinstance(each, type)
                        and each.__module__ == module.__name__)  # fmt: skip


def test_every_class_that_could_hold_one_is_printed_here() -> None:
    could = {
        each for each in _classes() if is_dataclass(each)
        and any("bytes" in str(field.type) or "Secret" in str(field.type) for field in fields(each))
    }  # fmt: skip

    assert could == {type(bearer) for bearer in BEARERS} - {Secret, RecoveryRecord} | PUBLIC
    assert Bundle in could
