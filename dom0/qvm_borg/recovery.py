"""The account again, where the maintenance qube is gone, or all of this computer.

Runs in dom0, which sees what is public of the account's record. A new maintenance qube is told
which record to take from which vault, and is asked itself whether it has it.
"""

from argparse import Namespace
from dataclasses import asdict, replace

from qborg_wire.row import Role
from qvm_borg import settings, setup, vault
from qvm_borg.qubes import Qube
from qvm_borg.session import Session
from qvm_borg.telling import refusal


def recover(session: Session, options: Namespace, ask: setup.Ask) -> None:
    """Have a maintenance qube with the vault's account, and go on as the set-up does.

    Where dom0 has settings they decide; else the vault's, once a person has confirmed the host key.
    """
    system, known = session.system, settings.load()
    keeper = vault.candidate(system, options.vault) if options.vault else vault.required(system)
    with session.running(keeper):
        machine = options.machine or (known.machine if known else "*")
        told = session.call(keeper, "DescribeAccount", {"machine": machine})
        wanted = _agreed(session, options, ask, keeper, told)
        system.give_role(Role.VAULT, keeper)
        options.maintenance = told["maintenance"]  # the vault takes records from that name alone
        maintenance, _changed = setup.qube(session, options, lost=True)
        with session.running(maintenance):
            expected = {**asdict(wanted), "vault": keeper.name, "record": told["record"]}
            if session.call(maintenance, "ExpectAccount", expected)["account"] != "here":
                own = vault.account(session)
                session.wait(session.releasing(keeper, maintenance, Role.MAINTENANCE, own))
                if session.call(maintenance, "ExpectAccount", expected)["account"] != "here":
                    raise refusal("account-not-sent", vault=keeper)
            setup.complete(session, options, ask, maintenance, wanted)
    session.tell("account-taken", maintenance=maintenance)


def _agreed(session: Session, options: Namespace, ask: setup.Ask, keeper: Qube,
            told: dict[str, str]) -> settings.Settings:
    """Answer dom0's settings, or the vault's; raises SettingsError where they differ."""
    known, found = settings.load(), settings.Settings(**{k: told[k] for k in settings.PATTERNS})
    session.tell("account-found" if told["damaged"] == "no" else "account-older", vault=keeper,
                 server=found.server, machine=found.machine, epoch=told["epoch"])
    if known and replace(known, remote_borg=found.remote_borg) != found:
        raise refusal("account-is-another", vault=keeper, path=settings.path())
    setup.confirmed(found.host_key, options.fingerprint or (known and known.host_key), ask)
    if known is None:
        settings.store(found)
    return known or found
