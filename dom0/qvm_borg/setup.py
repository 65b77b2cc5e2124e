"""The set-up: a maintenance qube, a server whose host key a person has confirmed, a login.

Runs in dom0. Every run goes on where the last one ended; what is set already is never changed,
an option that says otherwise is an error.
"""

import secrets
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict, replace

from qborg_wire.reply import Failure
from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg import errors, settings, vault
from qvm_borg.failures import from_failure
from qvm_borg.qubes import Qube, running
from qvm_borg.session import Session
from qvm_borg.settings import Settings

_POLL = 5.0  # seconds between two looks whether the server accepts the admin key
_STEPS = ("qube", "host key", "login", "borg", "vault")
Ask = Callable[[str], bool] | None


def setup(session: Session, options: Namespace, ask: Ask) -> None:
    """Bring the set-up as far as it goes; `ask` puts a question to the person, if there is one.

    Raises WaitingForServer when it is the person's turn at the server.
    """
    known = settings.load()
    wanted = _wanted(options, known)
    keeper = vault.candidate(session.system, options.vault) if options.vault else None
    maintenance, changed = qube(session, options)
    if keeper:
        changed = session.system.give_role(Role.VAULT, keeper) or changed
    changed = complete(session, options, ask, maintenance, wanted) or changed
    session.report.say("set up; next: `qvm-borg-enroll NAME`" if changed
                       else "was set up already; nothing was changed")


def complete(session: Session, options: Namespace, ask: Ask, maintenance: Qube,
             wanted: Settings) -> bool:
    """Go on from the maintenance qube to the vault; answers whether anything was changed."""
    known = settings.load()
    session.report.step(_STEPS, "qube", f"{maintenance} is the maintenance qube")
    with running(maintenance, session.report.say):
        wanted = _account(session, options, ask, maintenance, wanted)
        if wanted != known:
            settings.store(wanted)
        return _escrowed(session, maintenance, wanted) or wanted != known


def _account(session: Session, options: Namespace, ask: Ask, maintenance: Qube,
             wanted: Settings) -> Settings:
    """Answer the settings with what the account was found to have, once it lets us in."""
    if wanted.host_key == "unknown":
        seen = session.call(maintenance, "CheckSetup", wanted.request())["host_key"]
        wanted = replace(wanted, host_key=confirmed(seen, options.fingerprint, ask))
        settings.store(wanted)
    session.report.step(_STEPS, "host key", f"{wanted.host} has {wanted.host_key}")
    reply = session.call(maintenance, "CheckSetup", wanted.request())
    if reply["login"] != "ok" and _by_password(options, wanted, ask):
        _first_login(session, maintenance, wanted)
        reply = session.call(maintenance, "CheckSetup", wanted.request())
    if reply["login"] != "ok":
        patience = (7 * 86400 if ask else 0) if options.wait is None else options.wait
        reply = _awaited(session, maintenance, wanted, reply, patience)
    session.report.step(_STEPS, "login", f"{wanted.server} accepts the admin key")
    if "none" in (reply["borg"], reply["remote_borg"]):
        raise from_failure(maintenance.name, Failure("borg-missing", "-"))
    if wanted.remote_borg not in ("probe", reply["remote_borg"]):
        raise errors.WireError(f"{maintenance}: it tells of another borg than it was asked for")
    session.report.step(_STEPS, "borg", f"{reply['remote_borg']} {reply['borg']} is on the server")
    found = ", ".join(f"{key} {reply[key]}" for key in ("provider", "access", "keys", "snapshots"))
    session.report.say(f"the account: {found}")
    if reply["keys"] == "awaited":
        session.report.say("its list of keys is not ours to write: `qvm-borg-enroll` shows a line "
                           "for each qube, and goes on when it is there")
    return replace(wanted, remote_borg=reply["remote_borg"])


def _escrowed(session: Session, maintenance: Qube, known: Settings) -> bool:
    """Have the account's record in the vault, if there is one; answers whether it is new there."""
    keeper = vault.find(session.system)
    if keeper is None:
        session.report.step(_STEPS, "vault", "none: `qvm-borg-setup --vault NAME` names the qube "
                            "without network that keeps the recovery records")
        return False
    with running(keeper, session.report.say):
        _kept, changed = vault.keep(
            session, maintenance, keeper, vault.account(known, maintenance))
    session.report.step(_STEPS, "vault", f"{keeper} has the account's record")
    return changed


def _same(what: str, found: dict[str, str], given: dict[str, str], hint: str) -> None:
    for key, value in found.items():
        if (given.get(key) or value) != value:
            raise errors.SettingsError(f"{what} has {key} {value}, not {given[key]}",
                                       f"leave the option out to go on; {hint}")


def _wanted(options: Namespace, known: Settings | None) -> Settings:
    account, host, port = options.server or ("", "", "")
    if known is None and options.server is None:
        raise errors.SettingsError("which server? Nothing is set up yet")
    if known is None:
        return Settings(options.machine or "qubes", secrets.token_hex(16), account, host, port,
                        "unknown", options.remote_borg or "probe")
    known = replace(known, remote_borg=options.remote_borg or known.remote_borg)
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
        template = _offering(system.template(options.template))
        netvm = system.find(options.netvm) if options.netvm else None
        if template.property("klass") != "TemplateVM":
            raise errors.SettingsError(f"{template} is no template", "name one by --template")
        if netvm and not netvm.property("provides_network"):
            raise errors.SettingsError(f"{netvm} provides no network", "name a qube that does")
        found = system.create(Role.MAINTENANCE, options.maintenance or "borg-maintenance",
                              options.label or "gray", template.name, netvm)
    is_set = {key: str(found.property(key)) for key in ("name", "template", "netvm", "label")}
    _same("the maintenance qube", is_set, {**vars(options), "name": options.maintenance},
          "or use `qvm-prefs`")
    if found.property("netvm") is None:
        raise errors.QubeUnavailable(f"{found} has no netvm", f"`qvm-prefs {found} netvm NETVM`")
    return _offering(found), system.give_role(Role.MAINTENANCE, found)


def _offering(found: Qube) -> Qube:
    if found.offers(SERVICES["CheckSetup"]):
        return found
    raise errors.TemplateError(
        f"{found} does not offer the services of a maintenance qube", "install "
        "qubes-borg-maintenance in the template and shut it down; or choose one by --template")


def confirmed(seen: str, given: str | None, ask: Ask) -> str:
    """Answer the host key's fingerprint once a person says that it is the server's."""
    if given not in (None, seen):
        raise errors.HostKeyError(f"its host key is {seen}, not the fingerprint that was given")
    if given or (ask and ask(f"The server's host key is {seen}\n"
                             "Is it the one on your provider's page? [y/N] ")):
        return seen
    raise errors.HostKeyError("the server's host key is not confirmed", "compare it with your "
                              f"provider's page; if it is the same, add --fingerprint {seen}")


def _by_password(options: Namespace, wanted: Settings, ask: Ask) -> bool:
    if options.password is not None or ask is None:
        return bool(options.password)
    return ask(f"{wanted.server} does not accept the admin key yet.\n"
               "Does it take a password, to be typed once in that qube? [y/N] ")


def _first_login(session: Session, maintenance: Qube, wanted: Settings) -> None:
    session.report.say(f"Type the password of {wanted.server} in {maintenance}: in the window that "
                       "opens there, or there in a terminal: qborg-admin login")
    session.call(maintenance, "FirstLogin", asdict(wanted))


def _awaited(session: Session, maintenance: Qube, wanted: Settings, reply: dict[str, str],
             wait: int) -> dict[str, str]:
    """Show the line to add, and answer CheckSetup's reply once the server accepts the key."""
    session.report.say(f"Add this line to .ssh/authorized_keys of {wanted.server}:")
    session.report.say(f"{reply['admin_key']} qubes-borg-admin {wanted.machine}")
    deadline = time.monotonic() + wait
    while reply["login"] != "ok":
        if time.monotonic() >= deadline:
            raise errors.WaitingForServer(f"{wanted.server} does not accept the admin key yet")
        time.sleep(_POLL)
        reply = session.call(maintenance, "CheckSetup", wanted.request())
    return reply
