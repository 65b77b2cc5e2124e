"""The vault: the qube without network that keeps the recovery records.

Runs in dom0, which sees digests of records and no more. What the keyholder says that it sent and
what the vault says that it has are asked for separately and compared here.
"""

from qborg_wire.names import Repository
from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg.enrolment import Enrolment
from qvm_borg.flow import Flow
from qvm_borg.qubes import Qube, System
from qvm_borg.session import Session
from qvm_borg.telling import refusal


def find(system: System) -> Qube | None:
    """Answer the vault, None if dom0 names none; raises SettingsError for one with a netvm."""
    if found := system.role(Role.VAULT):
        _check_network(found)
    return found


def required(system: System) -> Qube:
    """Answer the vault; raises EscrowMissing without one."""
    if found := find(system):
        return found
    raise refusal("no-vault")


def of(enrolment: Enrolment) -> Qube:
    """Answer the vault of an enrolment; raises EscrowMissing for one that is done without it."""
    if enrolment.vault is None:
        raise refusal("goes-on-without-vault", qube=enrolment)
    return enrolment.vault


def candidate(system: System, name: str) -> Qube:
    """Answer a qube that can be the vault; raises SettingsError or TemplateError."""
    qube, known = system.find(name), system.role(Role.VAULT, lost=True)
    if known is not None and known.uuid != qube.uuid:
        raise refusal("vault-is-another", known=known, qube=qube)
    other = system.role(Role.MAINTENANCE, lost=True)
    if qube.property("klass") not in ("AppVM", "StandaloneVM") or (
            qube.property("template_for_dispvms")) or (other and other.uuid == qube.uuid):
        raise refusal("cannot-be-vault", qube=qube)
    _check_network(qube)
    return qube.offering(SERVICES["StoreRecord"], "vault-without-services")


def _check_network(qube: Qube) -> None:
    if qube.property("netvm") is not None:
        raise refusal("vault-with-netvm", qube=qube)


def account(session: Session) -> Repository:
    """Answer the name that the account's own record bears."""
    return Repository(session.settings.machine, session.maintenance.name)


def keeping_account(session: Session, vault: Qube) -> Flow[bool]:
    """Have the account's own record in the vault; both run. Answers whether it is new there."""
    return (yield from keeping(session, session.maintenance, vault, account(session)))[1]


def describe(session: Session, vault: Qube, repository: Repository) -> dict[str, str]:
    """Answer what `describing` comes to."""
    return session.wait(describing(session, vault, repository))


def describing(session: Session, vault: Qube, repository: Repository) -> Flow[dict[str, str]]:
    """Answer what the running vault says of the newest record of a repository that can be read."""
    told = yield from session.calling(vault, "DescribeRecord", None, repository)
    if told["damaged"] == "yes":
        session.tell("record-older", vault=vault, repository=repository)
    return told


def keeping(session: Session, holder: Qube, vault: Qube, repository: Repository,
            service: str = "SendRecord") -> Flow[tuple[dict[str, str], bool]]:
    """Have the keyholder's record of a repository in the vault; both run. `service` sends it.

    Answers what the vault says of it, and whether it is new there. Raises WireError if that is
    another record than was sent.
    """
    sent = yield from session.passing(
        "StoreRecord", holder, vault, service, {"vault": vault.name}, repository)
    kept = yield from describing(session, vault, repository)
    if kept["record"] != sent["record"]:
        raise refusal("another-record-kept", vault=vault, repository=repository, keyholder=holder)
    return kept, sent["changed"] == "yes"
