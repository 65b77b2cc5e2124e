"""The vault: the qube without network that keeps the recovery records.

Runs in dom0, which sees digests of records and no more. What the keyholder says that it sent and
what the vault says that it has are asked for separately and compared here.
"""

from qborg_wire.names import Repository
from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg import errors
from qvm_borg.enrolment import Enrolment
from qvm_borg.qubes import Qube, System
from qvm_borg.session import Session
from qvm_borg.settings import Settings


def find(system: System) -> Qube | None:
    """Answer the vault, None if dom0 names none; raises SettingsError for one with a netvm."""
    found = system.role(Role.VAULT)
    if found is not None:
        _check_network(found)
    return found


def required(system: System) -> Qube:
    """Answer the vault; raises EscrowMissing without one."""
    found = find(system)
    if found is None:
        raise errors.EscrowMissing("there is no vault yet to keep the recovery records")
    return found


def of(enrolment: Enrolment) -> Qube:
    """Answer the vault of an enrolment with escrow."""
    if enrolment.vault is None:
        raise ValueError("an enrolment without escrow has no vault")
    return enrolment.vault


def candidate(system: System, name: str) -> Qube:
    """Answer a qube that can be the vault; raises SettingsError or TemplateError."""
    qube, known = system.find(name), system.role(Role.VAULT)
    if known is not None and known.uuid != qube.uuid:
        raise errors.SettingsError(f"the vault is {known}, not {qube}: its records are there",
                                   "leave the option out to go on")
    other = system.role(Role.MAINTENANCE, lost=True)
    if qube.property("klass") not in ("AppVM", "StandaloneVM") or (
            qube.property("template_for_dispvms")) or (other and other.uuid == qube.uuid):
        raise errors.SettingsError(f"{qube} cannot be the vault", "name an ordinary qube that "
                                   "keeps its files and has no other role, such as `vault`")
    _check_network(qube)
    if not qube.offers(SERVICES["StoreRecord"]):
        raise errors.TemplateError(f"{qube} does not offer the services of a vault",
                                   "install qubes-borg-vault in its template, shut both down, and "
                                   "try again")
    return qube


def _check_network(qube: Qube) -> None:
    if qube.property("netvm") is not None:
        raise errors.SettingsError(f"{qube} has a netvm, and a vault has no network",
                                   f"`qvm-prefs {qube} netvm ''`, or another qube as the vault")


def account(settings: Settings, maintenance: Qube) -> Repository:
    """Answer the name that the account's own record bears."""
    return Repository(settings.machine, maintenance.name)


def describe(session: Session, vault: Qube, repository: Repository) -> dict[str, str]:
    """Answer what the running vault says of the newest record of a repository."""
    return session.call(vault, "DescribeRecord", None, repository)


def keep(session: Session, keyholder: Qube, vault: Qube, repository: Repository,
         service: str = "SendRecord") -> tuple[dict[str, str], bool]:
    """Have the keyholder's record of a repository in the vault; both run. `service` sends it.

    Answers what the vault says of it, and whether it is new there. Raises WireError if that is
    another record than was sent.
    """
    sent = session.passing(
        "StoreRecord", keyholder, vault, service, {"vault": vault.name}, repository)
    kept = describe(session, vault, repository)
    if kept["record"] != sent["record"]:
        raise errors.WireError(f"{vault}: it keeps another record of {repository} than "
                               f"{keyholder} has sent")
    return kept, sent["changed"] == "yes"
