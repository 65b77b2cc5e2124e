"""The set-up: a maintenance qube, a server whose host key a person has confirmed, a login.

Runs in dom0. Every run goes on where the last one ended; what is set already is never changed,
an option that says otherwise is an error.
"""

import secrets
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace

from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg import firewall, salt, settings, vault
from qvm_borg.errors import ServerUnreachable
from qvm_borg.qubes import Qube
from qvm_borg.session import Session
from qvm_borg.telling import from_failure, refusal, text

_POLL = 15.0  # seconds between two looks; sshd refuses who fails more often (PerSourcePenalties)
_SERVICE = (SERVICES["CheckSetup"], "maintenance-without-services")
_STEPS = ("qube", "host key", "login", "borg", "vault")
Ask = Callable[[str], bool] | None


def setup(session: Session, options: Namespace, ask: Ask) -> None:
    """Bring the set-up as far as it goes; `ask` puts a question to the person, if there is one.

    Raises WaitingForServer when it is the person's turn at the server.
    """
    wanted = _wanted(options, settings.load())
    if options.salt:
        salt.install(session, options.salt)
    keeper = vault.candidate(session.system, options.vault) if options.vault else None
    maintenance, changed = qube(session, options)
    if keeper:
        changed = session.system.give_role(Role.VAULT, keeper) or changed
    if options.firewall:
        firewall.let_through(session, options.firewall, wanted, maintenance)
    changed = complete(session, options, ask, maintenance, wanted) or changed
    if firewall.let_all_through(firewall.rules_of(maintenance)):
        session.tell("reaches-everything", qube=maintenance, server=wanted.server)
    session.tell("set-up" if changed or options.salt or options.firewall else "set-up-already")


def complete(session: Session, options: Namespace, ask: Ask, maintenance: Qube,
             wanted: settings.Settings) -> bool:
    """Go on from the maintenance qube to the vault; answers whether anything was changed.

    The account's record is in the vault then, if there is one.
    """
    known = settings.load()
    session.report.step(_STEPS, "qube", f"{maintenance} is the maintenance qube")
    if known and known.machine != wanted.machine:
        settings.store(replace(known, machine=wanted.machine))
    with session.running(maintenance):
        wanted = _account(session, options, ask, maintenance, wanted)
        if changed := wanted != known:
            settings.store(wanted)
        if (keeper := vault.find(session.system)) is None:
            session.report.step(_STEPS, "vault", text("vault-none"))
            return changed
        with session.running(keeper):
            changed = session.wait(vault.keeping_account(session, keeper)) or changed
        session.report.step(_STEPS, "vault", text("account-kept", vault=keeper))
        return changed


def _account(session: Session, options: Namespace, ask: Ask, maintenance: Qube,
             wanted: settings.Settings) -> settings.Settings:
    """Answer the settings with what the account was found to have, once it lets us in."""
    if wanted.host_key == "unknown":
        seen = session.call(maintenance, "CheckSetup", wanted.request())["host_key"]
        wanted = replace(wanted, host_key=confirmed(seen, options.fingerprint, ask))
        settings.store(wanted)
    session.report.step(_STEPS, "host key", f"{wanted.host} has {wanted.host_key}")
    reply = session.call(maintenance, "CheckSetup", wanted.request())
    if reply["login"] != "ok" and _by_password(options, wanted, ask):
        session.tell("type-the-password", server=wanted.server, maintenance=maintenance)
        session.call(maintenance, "FirstLogin", asdict(wanted))
        reply = session.call(maintenance, "CheckSetup", wanted.request())
    if reply["login"] != "ok":
        patience = (7 * 86400 if ask else 0) if options.wait is None else options.wait
        reply = _awaited(session, maintenance, wanted, reply, patience)
    session.report.step(_STEPS, "login", f"{wanted.server} accepts the admin key")
    if "none" in (reply["borg"], reply["remote_borg"]):
        raise from_failure(maintenance, "borg-missing")
    if wanted.remote_borg not in ("probe", reply["remote_borg"]):
        raise refusal("another-borg", maintenance=maintenance)
    session.report.step(_STEPS, "borg", f"{reply['remote_borg']} {reply['borg']} is on the server")
    found = ", ".join(f"{key} {reply[key]}" for key in ("provider", "access", "keys", "snapshots"))
    session.report.say(f"the account: {found}")
    if reply["keys"] == "awaited":
        session.tell("list-of-others")
    return replace(wanted, remote_borg=reply["remote_borg"])


def _same(what: str, found: dict[str, str], given: dict[str, str], hint: str) -> None:
    for key, value in found.items():
        if (given.get(key) or value) != value:
            raise refusal("set-otherwise", what=what, key=key, value=value, given=given[key],
                          other=hint)


def _wanted(options: Namespace, known: settings.Settings | None) -> settings.Settings:
    account, host, port = options.server or ("", "", "")
    if known is None and options.server is None:
        raise refusal("server-unnamed")
    if known is None:
        return settings.Settings(options.machine or "qubes", secrets.token_hex(16), account, host,
                                 port, "unknown", options.remote_borg or "probe")
    # As long as no borg was found, the set-up has not ended and nothing has the computer's name.
    known = replace(known, remote_borg=options.remote_borg or known.remote_borg,
                    machine=known.remote_borg == "probe" and options.machine or known.machine)
    given = {**vars(options), "account": account, "host": host, "port": port,
             "host_key": options.fingerprint}
    _same("the set-up", asdict(known), given, f"or edit {settings.path()}")
    return known


def qube(session: Session, options: Namespace, lost: bool = False) -> tuple[Qube, bool]:
    """Answer the maintenance qube and whether anything was changed for it.

    It is made if there is none, or if it is gone and may be `lost`.
    """
    system, found = session.system, session.system.role(Role.MAINTENANCE, lost)
    if found is None:
        template = system.template(options.template).offering(*_SERVICE)
        if options.netvm and not system.find(options.netvm).property("provides_network"):
            raise refusal("no-network-provided", netvm=options.netvm)
        found = system.create(Role.MAINTENANCE, options.maintenance or "borg-maintenance",
                              options.label or "gray", template.name, options.netvm)
    is_set = {key: str(found.property(key)) for key in ("name", "template", "netvm", "label")}
    _same("the maintenance qube", is_set, {**vars(options), "name": options.maintenance},
          "or use `qvm-prefs`")
    if found.property("netvm") is None:
        raise refusal("maintenance-without-netvm", qube=found)
    return found.offering(*_SERVICE), system.give_role(Role.MAINTENANCE, found)


def confirmed(seen: str, given: str | None, ask: Ask) -> str:
    """Answer the host key's fingerprint once a person says that it is the server's."""
    if given not in (None, seen):
        raise refusal("host-key-is-another", seen=seen)
    if given or (ask and ask(text("is-it-the-host-key", seen=seen))):
        return seen
    raise refusal("host-key-unconfirmed", seen=seen)


def _by_password(options: Namespace, wanted: settings.Settings, ask: Ask) -> bool:
    ask = ask if options.password is None else None
    return ask(text("takes-it-a-password", server=wanted.server)) if ask else bool(options.password)


def _awaited(session: Session, maintenance: Qube, wanted: settings.Settings, reply: dict[str, str],
             wait: int) -> dict[str, str]:
    """Show the line to add, and answer CheckSetup's reply once the server accepts the key."""
    session.report.show(text("add-this-line", server=wanted.server))
    session.report.show(f"{reply['admin_key']} qubes-borg-admin {wanted.machine}")
    deadline = time.monotonic() + wait
    while reply["login"] != "ok":
        if time.monotonic() >= deadline:
            raise refusal("admin-key-awaited", server=wanted.server)
        time.sleep(_POLL)
        with suppress(ServerUnreachable):  # a network may be gone for a while
            reply = session.call(maintenance, "CheckSetup", wanted.request())
    return reply
