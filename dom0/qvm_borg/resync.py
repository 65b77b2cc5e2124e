"""dom0's record of a qube, made anew of what the others know: the registry, the vault, the qube.

Runs in dom0. What nobody else knows is kept of an unfinished rotation alone; when a qube was backed
up and proved is not known any more, so the next enrolment does both again.
"""

from collections.abc import Sequence

from qborg_wire.names import DIGEST
from qvm_borg import evidence, record, vault
from qvm_borg.crowd import Crowd
from qvm_borg.enrolment import Enrolment
from qvm_borg.session import ROLE, Session
from qvm_borg.telling import refusal

_NOTES = {"client": {record.KEYS: record.BY_CLIENT}, "imported": {record.SECRETS: record.IMPORTED},
          "mixed": {record.KEYS: record.BY_CLIENT, record.SECRETS: record.IMPORTED}}
_OURS = (record.ROTATION, record.NEXT, record.CONTINUES, record.FORMER, record.RESTORE, record.KEYS)


def resync(session: Session, wanted: Sequence[str]) -> None:
    """Rebuild the record of these qubes, or of all that were enrolled; accept the server as it is.

    Raises the one qube's error, or PartialFailure after all.
    """
    maintenance, keeper = session.maintenance, vault.find(session.system)
    qubes = [session.system.find(name) for name in wanted] or [
        qube for qube in session.system.qubes() if qube.feature(ROLE)]
    every = [Enrolment(session, qube, vault=keeper) for qube in qubes]
    with Crowd(session.report, len(every), "as they are known elsewhere") as crowd, (
            session.running(maintenance, *filter(None, [keeper]))):
        repositories = [str(each.repository) for each in every]
        shown = session.wait(evidence.asking(session, maintenance, repositories, "accept"))
        crowd.each(every, lambda each: _rebuild(each, shown[str(each.repository)]))


def _rebuild(each: Enrolment, shown: dict[str, str]) -> None:
    mine, origin, keeper = (each.qube.uuid, each.repository), shown["origin"], each.vault
    if (each.record.uuid, each.record.repository) != mine or origin in ("none", "host"):
        raise refusal("record-of-nobody", qube=each, maintenance=each.maintenance)
    with each.session.running(each.qube):
        says = each.session.wait(each.describing())
    kept = vault.describe(each.session, keeper, each.repository) if keeper else {"record": "none"}
    there, escrowed = says["repository"] == str(each.repository), kept["record"] != "none"
    # Only dom0 knows how far an unfinished rotation has come.
    begun = each.record.digests if record.ROTATION in each.record.notes else {}
    digests = {**{name: begun[name] for name in ("former", "repository") if name in begun},
               "bundle": says["bundle"] if there else "none", "record": kept["record"],
               "key": kept["key"] if escrowed else shown["key"]}
    notes = {**{name: each.record.notes[name] for name in _OURS if name in each.record.notes},
             **_NOTES.get(origin, {}), "escrow": record.ESCROWED if escrowed else record.NO_ESCROW,
             record.ENCRYPTION: {"none": record.KEYFILE, "unknown": each.record.encryption}.get(
                 shown["key"], record.REPOKEY)}
    step = record.REVOKING if origin == "revoked" else "deliver" if there else "create"
    each.qube.set_feature(record.FEATURE, record.render(record.Record(
        *mine, step, shown["fingerprint"].removeprefix("none"),
        {name: told for name, told in digests.items() if DIGEST.fullmatch(told)},
        {"proved": "0"}, notes)))
    each.session.tell("record-rebuilt", qube=each, repository=each.repository)
