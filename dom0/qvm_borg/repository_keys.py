"""The key in each repository against the escrowed one, and that one put back.

Runs in dom0, which knows digests of keys. A client may change its repository's key; with the old
passphrase nobody then opens it but by the key that was exported at the enrolment.
"""

from collections.abc import Sequence

from qvm_borg import evidence, record, vault, worker
from qvm_borg.crowd import Crowd
from qvm_borg.session import Session
from qvm_borg.telling import from_failure, refusal


def compare(session: Session, wanted: Sequence[str]) -> None:
    """Compare each qube's key at the server with the one exported; no vault, no client is asked.

    Raises the one qube's error, or PartialFailure after all.
    """
    maintenance = session.maintenance

    def compared(name: str) -> None:
        known = enrolled[name]
        in_file, key = known.encryption == record.KEYFILE, told[str(known.repository)]["key"]
        words = {"qube": known.repository.qube, "repository": known.repository}
        if key == "unknown":
            raise refusal("key-unseen", **words)
        if key != ("none" if in_file else known.digests.get("key")):
            raise refusal("key-file-and-key" if in_file else "key-not-exported", **words)
        session.tell("no-key-as-it-should" if in_file else "key-as-exported", **words)

    with Crowd(session.report, len(wanted), "found as they were") as crowd:
        enrolled = dict(crowd.each(wanted, lambda name: (name, session.enrolled(name)[1])))
        repositories = [str(each.repository) for each in enrolled.values()]
        with session.running(maintenance):
            told = session.wait(evidence.asking(session, maintenance, repositories, "keys"))
        crowd.each([*enrolled], compared)


def repair(session: Session, name: str) -> None:
    """Put the vault's key of a qube back into its repository, in a worker; it may be gone."""
    maintenance, keeper = session.maintenance, vault.required(session.system)
    repository, known = session.original(name)
    if known and known.encryption == record.KEYFILE:
        raise from_failure(name, "needs-no-key")
    with session.running(maintenance, keeper):
        kept = {**vault.describe(session, keeper, repository), **(known.digests if known else {})}
        reply = session.wait(worker.ordering(
            session, keeper, repository, kept, "RepairKey", record=kept["record"]))
    session.tell("key-put-back" if reply["changed"] == "yes" else "key-as-escrowed", qube=name,
                 repository=repository)
