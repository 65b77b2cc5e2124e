"""The printable recovery kit, made in the vault: dom0 says of what, and learns where it lies.

Runs in dom0. The maintenance qube is not needed, and the qubes themselves are not asked.
"""

from collections.abc import Sequence

from qvm_borg import check, settings, vault
from qvm_borg.errors import EscrowMissing, SettingsError, WireError
from qvm_borg.qubes import running
from qvm_borg.session import Session


def print_kit(session: Session, names: Sequence[str]) -> None:
    """Have a kit of the account and these qubes, or of all that the vault keeps; say where it is.

    Raises EscrowMissing for a named qube whose record is in no vault.
    """
    site, keeper = settings.load(), vault.required(session.system)
    if site is None:
        raise SettingsError("the set-up is not done")
    wanted = _in_the_vault(session, names, keeper.name)
    with running(keeper, session.report.say):
        reply = session.call(keeper, "PrintKit", {
            "machine": site.machine, "repositories": wanted, "others": "no" if names else "yes"})
    count = int(reply["repositories"])
    if count < len(wanted) or names and count > len(wanted):
        raise WireError(f"{keeper}: its kit is of {count} repositories, not of {len(wanted)}")
    for line in (
        f"the kit of {site.server} is in {keeper}: ~/{reply['file']}.html, and as .txt",
        f"repositories: {count}; pages: {reply['pages']}",
        f"print it there: open the .html in a browser of {keeper}, A4 or Letter at 100 %",
        "whoever holds it reads every backup in it: keep it as you keep a passport",
    ):
        session.report.say(line)


def _in_the_vault(session: Session, names: Sequence[str], keeper: str) -> list[str]:
    """Answer the repositories whose records must be there; tell of a qube that has none."""
    found = []
    for name in dict.fromkeys(names or check.everyone(session)):
        known = session.enrolled(name)[1]
        if known.escrowed:
            found.append(str(known.repository))
        elif names:
            raise EscrowMissing(f"{name}: its record is not in {keeper}",
                                f"`qvm-borg-enroll {name}` without --no-escrow brings it there")
        else:
            session.report.say(f"{name} is not in it: its record is not in {keeper}")
    return found
