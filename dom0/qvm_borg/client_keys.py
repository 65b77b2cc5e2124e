"""The qube as its own keyholder: its key published beside the former one, then alone.

Runs in dom0. A rotation is an enrolment that goes its way again with other secrets; its name is
noted before anything is made, so that the next run goes on with it and never begins another.
"""

import secrets

from qborg_wire.key_line import restricted_line
from qborg_wire.services import SERVICES
from qvm_borg import record
from qvm_borg.enrolment import ROLE, Done, Enrolment, fingerprint
from qvm_borg.errors import WaitingForServer, WireError
from qvm_borg.qubes import running

SECRETS = ("key", "passphrase")
_REQUEST = SERVICES["PrepareBundle"].request
_FIRST = "0" * 32  # the name of an enrolment


def create(enrolment: Enrolment) -> Done:
    """Have secrets in the qube, and its key among those that the maintenance qube publishes."""
    asked, qube, known = enrolment.asked, enrolment.qube, enrolment.record
    rotation, proved = known.notes.get(record.ROTATION, ""), {}
    if asked.fresh and not rotation:
        rotation = " ".join((secrets.token_hex(16), known.digests["record"][:16], *asked.fresh))
        proved = {"proved": "0"}
    named, *fresh = (rotation or _FIRST).split(" ")
    enrolment.note("plan", Done("", False, {"times": proved, "notes": {
        record.KEYS: record.BY_CLIENT, record.ROTATION: rotation}}))
    changed = qube.set_feature(ROLE, "1")
    values = vars(enrolment.settings)
    with running(qube, enrolment.session.report.say):
        reply = enrolment.call(qube, "PrepareBundle", {
            **{row.name: values[row.name] for row in _REQUEST if row.name in values},
            "rotation": named,
            **{name: "new" if name in fresh else "keep" for name in SECRETS}})
    enrolment.key = reply["public_key"]
    told = fingerprint(qube, enrolment.key, reply["fingerprint"])
    if told != known.fingerprint != "" and not rotation:
        raise WireError(f"{qube}: it tells of another key than was noted for it")
    enrolment.forgotten = reply["state"] == "installed"
    kept = register(enrolment, "register", enrolment.asked.quota)
    enrolment.line = restricted_line(enrolment.settings.remote_borg, enrolment.repository,
                                     enrolment.key, kept["quota"])
    return Done(f"{qube} has its key {told}", "yes" in (reply["created"], kept["changed"]) or
                changed, {"notes": {record.NEXT: told}} if rotation else {"fingerprint": told})


def settle(enrolment: Enrolment) -> Done:
    """Have the key that was proved as the only one, and the former one revoked for ever."""
    known = enrolment.record
    _name, before, *rotated = known.notes.get(record.ROTATION, " ").split(" ")
    if rotated and known.digests["record"].startswith(before):
        raise WireError(f"{enrolment}: its record in the vault is the one of before its rotation")
    kept = register(enrolment, "settle", "keep")
    if kept["former"] != "none":
        # A person is asked to remove every line of this key: it must be no other one.
        fingerprint(enrolment.maintenance, kept["former"], known.fingerprint)
        enrolment.session.report.say(restricted_line(
            enrolment.settings.remote_borg, enrolment.repository, kept["former"], kept["quota"]))
        raise WaitingForServer(
            f"{enrolment}: {enrolment.settings.server} still accepts its former key",
            "have every line with that key removed there, then run this again")
    if "passphrase" in rotated:
        enrolment.session.report.say(f"{enrolment}: a new passphrase encrypts nothing anew")
    leaked = {record.SECRETS: ""} if rotated == [*SECRETS] else {}  # they were, until now
    return Done("its key alone opens the repository", kept["changed"] == "yes", {
        "fingerprint": kept["fingerprint"],
        "notes": {record.ROTATION: "", record.NEXT: "", **leaked}})


def register(enrolment: Enrolment, stage: str, quota: str = "keep") -> dict[str, str]:
    """Have the maintenance qube know the key, and borg's id of the repository once it has one."""
    reply = enrolment.call(enrolment.maintenance, "RegisterKey", {
        "stage": stage, "public_key": enrolment.key, "quota": quota,
        "repository_id": enrolment.record.digests.get("repository", "none")})
    fingerprint(enrolment.maintenance, enrolment.key, reply["fingerprint"])
    return reply
