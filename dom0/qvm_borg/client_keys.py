"""The qube as its own keyholder: its key published beside the former one, then alone.

Runs in dom0. A rotation is an enrolment that goes its way again with other secrets; its name is
noted before anything is made, so that the next run goes on with it and never begins another.
"""

import secrets

from qborg_wire.key_line import restricted_line
from qborg_wire.names import Repository, parse_repository
from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg import manifest, record, vault, worker
from qvm_borg.enrolment import REGISTRY, Done, Enrolment, fingerprint
from qvm_borg.errors import NotConfirmed, NotFound
from qvm_borg.flow import Flow
from qvm_borg.session import ROLE
from qvm_borg.telling import refusal

SECRETS = ("key", "passphrase")
_REQUEST = SERVICES["PrepareBundle"].request
CONTINUE = "continue"  # beside what is new in a rotation: it takes a repository over


def creating(enrolment: Enrolment) -> Flow[Done]:
    """Have secrets in the qube, and its key among those that the maintenance qube publishes."""
    qube, known = enrolment.qube, enrolment.record
    yield from _beginning(enrolment)
    named, _before, fresh = enrolment.record.rotation
    yield from _copying_record(enrolment)
    continues = _continues(enrolment)
    changed, values = qube.set_feature(ROLE, "1"), vars(enrolment.settings)
    yield from enrolment.coming()
    with enrolment.running():
        if continues != "none":  # the note says what goes on, also if the qube was made for it
            manifest.done(enrolment.session.system, qube.name)
            yield from enrolment.session.releasing(
                vault.of(enrolment), qube, Role.CLIENT, parse_repository(continues))
        try:
            reply = yield from enrolment.calling(qube, "PrepareBundle", {
                **{row.name: values[row.name] for row in _REQUEST if row.name in values},
                "rotation": named, "continues": continues,
                **{name: "new" if name in fresh else "keep" for name in SECRETS}})
        except NotConfirmed:  # dom0 has lost that one's name, and what is new in it: any goes on
            lost = enrolment.record.notes.get(record.ROTATION, "").replace(
                named, record.FIRST).replace("passphrase", "key")
            enrolment.note("plan", Done("", False, {"digests": {record.FORMER: ""}, "notes": {
                record.FORMER: "", record.ROTATION: lost}}))
            raise
    enrolment.key = reply["public_key"]
    told = fingerprint(qube, enrolment.key, reply["fingerprint"])
    if told != known.fingerprint != "" and not fresh:
        raise refusal("own-key-is-another", qube=qube)
    if record.FORMER in enrolment.record.notes:  # registered, it is the one to be revoked
        enrolment.note("plan", Done("", False, {"notes": {record.NEXT: told}}))
    enrolment.forgotten = reply["state"] == "installed"
    kept = yield from registering(enrolment, "register", enrolment.asked.quota)
    enrolment.line = restricted_line(enrolment.settings.remote_borg, enrolment.repository,
                                     enrolment.key, kept["quota"])
    notes = {record.SECRETS: record.IMPORTED} if kept["leaked"] == "yes" else {}
    return Done(
        f"{qube} has its key {told}", "yes" in (reply["created"], kept["changed"]) or changed,
        {"notes": notes | {record.NEXT: told}} if fresh else {"fingerprint": told})


def _beginning(enrolment: Enrolment) -> Flow[None]:
    """Note what is going to happen, unless it is noted."""
    asked, known = enrolment.asked, enrolment.record
    rotation, begun = known.notes.get(record.ROTATION, ""), {}
    if (asked.fresh or asked.continues) and not rotation:
        fresh = ("key", CONTINUE) if asked.continues else asked.fresh
        before = (yield from _of_former(enrolment, asked.continues)) if asked.continues else (
            known.digests["record"])
        rotation = " ".join((secrets.token_hex(16), before[:16], *fresh))
        begun = {"times": {"proved": "0"}}
    former = {record.CONTINUES: str(asked.continues), record.RESTORE: asked.restore} if (
        asked.continues) else {record.FORMER: str(asked.former)} if asked.former else {}
    enrolment.note("plan", Done("", False, {**begun, "notes": {
        record.KEYS: record.BY_CLIENT, record.ROTATION: rotation, **former}}))


def _copying_record(enrolment: Enrolment) -> Flow[None]:
    """Have what opens the former repository in the vault by its new name, before it is moved."""
    known, former = enrolment.record, enrolment.record.notes.get(record.FORMER)
    if former and record.FORMER not in known.digests:
        keeper, values = vault.of(enrolment), {"record": known.digests["record"], "former": former}
        reply = yield from enrolment.calling(keeper, "CopyRecord", values)
        if reply["key"] != known.digests["key"]:
            raise refusal("record-of-another-key", keyholder=keeper, qube=former)
        enrolment.note("plan", Done("", learnt={"digests": {record.FORMER: reply["record"]}}))


def making_room(enrolment: Enrolment) -> Flow[dict[str, str]]:
    """Have the former repository out of a new one's place; answers what OpenRepository is told."""
    if record.FORMER not in enrolment.record.notes:
        return {"repository": "keep"}
    yield from registering(enrolment, "aside")
    return {"repository": "new"}


def _continues(enrolment: Enrolment) -> str:
    """Answer the repository that an unfinished enrolment goes on with, or none."""
    known = enrolment.record
    return known.notes[record.CONTINUES] if CONTINUE in known.rotation[2] else "none"


def _of_former(enrolment: Enrolment, repository: Repository) -> Flow[str]:
    """Answer the digest of the vault's record of the repository to go on with, which is proved.

    The vault has it by the new name from then on, so that it opens also what was moved by a run
    that is cut; but over another repository's it puts none. Raises what a proof raises; then
    nothing is changed, also not on the server.
    """
    session, keeper = enrolment.session, vault.of(enrolment)
    kept = yield from vault.describing(session, keeper, repository)
    try:
        yield from worker.reading_manifest(session, keeper, repository, "latest", kept)
    except NotFound as error:
        if error.cause != "archive-missing":  # by its name of today; it was opened to look for one
            raise
    if enrolment.repository != repository:
        yield from session.calling(keeper, "CopyRecord", {
            "record": kept["record"], "former": str(enrolment.repository)}, repository)
    return kept["record"]


def settling(enrolment: Enrolment) -> Flow[Done]:
    """Have the key that was proved as the only one, and the former one revoked for ever."""
    known = enrolment.record
    _name, before, rotated = known.rotation
    if rotated and known.digests["record"].startswith(before):
        raise refusal("record-unrotated", qube=enrolment)
    kept = yield from registering(enrolment, "renew" if rotated == [*SECRETS] else "settle")
    if former := known.notes.get(record.FORMER):
        enrolment.session.tell("former-is-kept", qube=enrolment, former=former)
    elif "passphrase" in rotated:
        enrolment.session.tell("passphrase-is-new", qube=enrolment)
    leaked = {record.SECRETS: ""} if rotated == [*SECRETS] else {}  # they were, until now
    return Done("its key alone opens the repository", kept["changed"] == "yes", {
        "fingerprint": kept["fingerprint"], "digests": {record.FORMER: ""},
        "notes": {record.ROTATION: "", record.NEXT: "", record.FORMER: "", **leaked}})


def registering(enrolment: Enrolment, stage: str, quota: str = "keep") -> Flow[dict[str, str]]:
    """Have the maintenance qube know the key, and borg's id of the repository once it has one."""
    yield from REGISTRY.coming()
    with REGISTRY:
        reply = yield from enrolment.calling(enrolment.maintenance, "RegisterKey", {
            "stage": stage, "public_key": enrolment.key, "quota": quota,
            "continues": _continues(enrolment),
            "former": enrolment.record.notes.get(record.FORMER, "none"),
            "repository_id": enrolment.record.digests.get("repository", "none")})
    fingerprint(enrolment.maintenance, enrolment.key, reply["fingerprint"])
    return reply
