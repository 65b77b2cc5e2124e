"""Rotation: an enrolment that goes its way once more, with secrets that the qube makes anew.

Runs in dom0; what is particular to it is told in qvm_borg.client_keys.
"""

from collections.abc import Sequence

from qvm_borg import record, vault
from qvm_borg.enroll import enroll
from qvm_borg.enrolment import ORDER, Asked
from qvm_borg.errors import EscrowMissing, NotEnrolled
from qvm_borg.session import Session


def rotate(session: Session, wanted: Sequence[str], fresh: Sequence[str]) -> None:
    """Have these secrets new in each qube; an unfinished rotation is brought to its end instead.

    Raises NotEnrolled or EscrowMissing before anything is changed, or what `enroll` raises.
    """
    keeper = vault.required(session.system)
    for name in wanted:
        _qube, known = session.enrolled(name)
        if not known.escrowed:
            raise EscrowMissing(f"{name}: no vault has its record, which a rotation renews",
                                f"`qvm-borg-enroll {name}` without --no-escrow brings it there")
        if known.step != ORDER[-1]:
            raise NotEnrolled(f"the enrolment of {name} is unfinished",
                              f"`qvm-borg-enroll {name}` brings it to its end")
        if record.ROTATION in known.notes:
            session.report.say(f"{name}: an unfinished rotation goes on; then run this again")
    enroll(session, wanted, False, Asked(fresh=tuple(fresh)), keeper)
    session.report.say("a printed kit is of the former ones: `qvm-borg-recover --print-kit`")
