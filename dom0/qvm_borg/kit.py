"""The printable recovery kit, made in the vault: dom0 says of what, and learns where it lies.

Runs in dom0. The maintenance qube is not needed, and the qubes themselves are not asked.
"""

from collections.abc import Iterator, Sequence

from qvm_borg import settings, vault
from qvm_borg.session import Session
from qvm_borg.telling import refusal


def print_kit(session: Session, names: Sequence[str]) -> None:
    """Have a kit of the account and these qubes, or of all that the vault keeps; say where it is.

    Raises EscrowMissing for a named qube whose record is in no vault, and PartialFailure after a
    kit that lacks a record, or has one of before, as the vault's newest is damaged.
    """
    site, keeper = settings.load(), vault.required(session.system)
    if site is None:
        raise refusal("not-set-up")
    wanted = [*_in_the_vault(session, names, keeper.name)]
    with session.running(keeper):
        reply = session.call(keeper, "PrintKit", {
            "machine": site.machine, "repositories": wanted, "others": "no" if names else "yes"})
    count, whole = int(reply["repositories"]), {*wanted} - {*reply["missing"].split()}
    if count < len(whole) or names and count > len(wanted):
        raise refusal("another-kit", vault=keeper, count=count, wanted=len(wanted))
    session.tell("kit-made", server=site.server, vault=keeper, file=reply["file"])
    session.tell("kit-holds", count=count, pages=reply["pages"])
    session.tell("kit-print", vault=keeper)
    if {reply["older"], reply["missing"]} != {"none"}:
        raise refusal("kit-in-part", vault=keeper, older=reply["older"], missing=reply["missing"])


def _in_the_vault(session: Session, names: Sequence[str], keeper: str) -> Iterator[str]:
    """Yield the repositories whose records must be there; tell of a qube that has none."""
    for name in names or session.originals():
        known = session.enrolled(name)[1]
        if known.escrowed:
            yield str(known.repository)
        elif names:
            raise refusal("record-not-in-vault", name=name, vault=keeper)
        else:
            session.tell("kit-without", name=name, vault=keeper)
