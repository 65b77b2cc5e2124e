"""Rotation: an enrolment that goes its way once more, with secrets that the qube makes anew.

Runs in dom0; what is particular to it is told in qvm_borg.client_keys.
"""

from argparse import Namespace
from collections.abc import Sequence

from qborg_wire.names import Repository
from qvm_borg import check, record, vault
from qvm_borg.enroll import enroll
from qvm_borg.enrolment import ORDER, Asked
from qvm_borg.qubes import Qube
from qvm_borg.session import Session
from qvm_borg.telling import refusal


def rotate(session: Session, fresh: Sequence[str], options: Namespace) -> None:
    """Have these secrets new in each qube; an unfinished rotation is brought to its end instead.

    new_repository: for them, of one qube, whose former one is kept by another name.
    Raises NotEnrolled or EscrowMissing before anything is changed, or what `enroll` raises.
    """
    keeper, former = vault.required(session.system), None
    for name in options.qubes:
        _qube, known = session.enrolled(name)
        if not known.escrowed:
            raise refusal("rotation-without-vault", name=name)
        if known.step != ORDER[-1]:
            raise refusal("enrolment-unfinished", name=name)
        if record.ROTATION in known.notes:
            session.tell("rotation-goes-on", name=name)
        elif options.new_repository:
            former = _former(session, keeper, name)
            session.tell("former-becomes", name=name, former=former, archive=known.notes["archive"])
    asked = Asked(fresh=fresh, former=former, jobs=options.jobs, memory=options.memory)
    enroll(session, options.qubes, False, asked, keeper)
    session.tell("kit-is-former")


def _former(session: Session, keeper: Qube, name: str) -> Repository:
    """Answer the name that the qube's repository gets, which nothing has or had; it is proved.

    Raises what a proof raises, if the vault's record does not open the repository.
    """
    settings, maintenance = session.settings, session.maintenance
    here = [*map(str, session.system.qubes())]
    with session.running(maintenance, keeper):
        check.check(session, [name], [])
        for end in map(".former{}".format, range(1, 100)):  # it ends, whatever a vault says
            found = Repository(settings.machine, name[:31 - len(end)] + end)
            asked = settings.request([str(found)], "enrolment")
            told = session.call(maintenance, "CheckSetup", asked)
            kept = vault.describe(session, keeper, found)["record"]
            if {told["occupied"], told["revoked"], kept} == {"none"} and found.qube not in here:
                return found
    raise refusal("no-name-for-former", name=name)
