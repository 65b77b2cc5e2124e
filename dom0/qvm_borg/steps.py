"""The steps of an enrolment: each a question asked of reality and an action that makes it so.

Runs in dom0; it handles digests and fingerprints, never what they are digests of. Where a step
has no question of its own, its service asks itself and answers whether it changed anything.
"""

import json
import time
from collections.abc import Sequence

from qborg_wire.key_line import NO_QUOTA, restricted_line
from qvm_borg import client_keys, manifest, preflight, record, vault, worker
from qvm_borg.enrolment import REGISTRY, Done, Enrolment, Step, fingerprint
from qvm_borg.flow import Flow
from qvm_borg.qubes import Qube
from qvm_borg.report import size
from qvm_borg.session import ROLE
from qvm_borg.telling import refusal

_CRON = "service.crond"
_OUTSIDE = "/home/user/outside-of-the-home"


def publishing(enrolments: Sequence[Enrolment], keeper: Qube | None) -> Flow[Done]:
    """Have the keys of all of them in the server's authorized_keys, written once, and the vault.

    The reply names the repositories whose lines somebody else has still to add there.
    """
    one, values = enrolments[0], {"repositories": [str(each.repository) for each in enrolments]}
    yield from REGISTRY.coming()
    with REGISTRY:
        reply = yield from one.session.calling(one.maintenance, "PublishKeys", values)
        if keeper:
            yield from vault.keeping_account(one.session, keeper)
    return Done("its key is on the server", reply["changed"] == "yes", reply=reply)


def creating(enrolment: Enrolment) -> Flow[Done]:
    """Have a key pair and a passphrase at the keyholder."""
    if enrolment.by_client:
        return (yield from client_keys.creating(enrolment))
    asked, maker, known = enrolment.asked, enrolment.maintenance, enrolment.record.fingerprint
    reply = yield from enrolment.calling(
        maker, "MakeKeys", {"quota": asked.quota, "directory": asked.directory})
    told = fingerprint(maker, reply["public_key"], reply["fingerprint"])
    if reply["created"] == "no" and known not in ("", told):
        raise refusal("another-key", teller=maker, subject=enrolment)
    enrolment.forgotten = reply["secrets"] == "forgotten"
    enrolment.line = restricted_line(enrolment.settings.remote_borg, enrolment.repository,
                                     reply["public_key"], reply["quota"])
    quota = "" if reply["quota"] == NO_QUOTA else f", quota {reply['quota']}"
    imported = {record.SECRETS: record.IMPORTED} if reply["origin"] == "imported" else {}
    return Done(f"{maker} has its key {told}{quota}", reply["created"] == "yes",
                {"fingerprint": told, "notes": imported})


def _initialise(enrolment: Enrolment) -> Flow[Done]:
    room = (yield from client_keys.making_room(enrolment)) if enrolment.by_client else {}
    reply = yield from enrolment.calling(enrolment.holder, enrolment.service("InitRepository"), {
        record.ENCRYPTION: enrolment.record.encryption, **room})
    told = reply[record.ENCRYPTION]
    preflight.encryption(enrolment, told)
    # In another repository than the one that dom0 knew, there is no backup yet.
    another = reply["repository_id"] != enrolment.record.digests.get("repository")
    done = Done("its repository is on the server", reply["created"] == "yes", {
        "digests": {"key": reply["key_digest"], "repository": reply["repository_id"]},
        "notes": {record.ENCRYPTION: told}, "times": {"backup": ""} if another else {}})
    if enrolment.by_client:  # so that a revocation can tell it from somebody else's
        enrolment.note("initialise", done)
        yield from client_keys.registering(enrolment, "register")
    return done


def _escrow(enrolment: Enrolment) -> Flow[Done]:
    """Once the keyholder has forgotten, the vault alone knows; before, it is sent what is new."""
    keeper, session, repository = vault.of(enrolment), enrolment.session, enrolment.repository
    if enrolment.forgotten:
        kept, changed = (yield from vault.describing(session, keeper, repository)), False
    else:
        kept, changed = yield from vault.keeping(
            session, enrolment.holder, keeper, repository, enrolment.service("SendRecord"))
    digests = {"record": kept["record"], "key": kept["key"]}
    known = {key: enrolment.record.digests.get(key, told) for key, told in digests.items()}
    if "none" in digests.values() or enrolment.forgotten and digests != known:
        raise refusal("proved-record-missing", vault=keeper, qube=enrolment)
    if digests["key"] != known["key"]:
        raise refusal("record-of-another-key", keyholder=enrolment.holder, qube=enrolment)
    # Another record, or one that dom0 knew nothing of, has not been proved.
    proved = {} if enrolment.record.digests.get("record") == digests["record"] else {"proved": "0"}
    return Done(f"its record is in {keeper}", changed, {
        "digests": digests, "notes": {"escrow": record.ESCROWED}, "times": proved})


def _delivered(enrolment: Enrolment) -> bool:
    says, known = enrolment.client, enrolment.record
    holds = says["repository"], says["bundle"], says["endpoint"]
    sent = str(enrolment.repository), known.digests.get("bundle"), enrolment.endpoint
    pending = enrolment.by_client and not enrolment.forgotten
    return holds == sent and enrolment.qube.feature(ROLE) == "1" and not pending


def _deliver(enrolment: Enrolment) -> Flow[Done]:
    """Have the bundle there, or the server's new name for borg in one that none can make anew."""
    says, qube, maintenance = enrolment.client, enrolment.qube, enrolment.maintenance
    if enrolment.forgotten and (
            says["repository"] != str(enrolment.repository) or says["bundle"] == "none"):
        raise refusal("bundle-gone", qube=qube, maintenance=maintenance)
    if _proved(enrolment):  # of another bundle: forgotten first, so that a kill cannot keep it
        enrolment.note("deliver", Done("", learnt={"times": {"proved": "0"}}))
    role = qube.set_feature(ROLE, "1")
    if enrolment.forgotten:
        job = enrolment.calling(qube, "RenameBorg", {"remote_borg": enrolment.settings.remote_borg})
    elif enrolment.by_client:
        job = enrolment.calling(qube, "AdoptBundle")
    else:
        job = enrolment.session.passing("InstallBundle", maintenance, qube, "SendBundle",
                                        {"client": qube.name}, enrolment.repository)
    reply = yield from job
    if (yield from enrolment.describing())["bundle"] != reply["bundle"]:
        raise refusal("another-bundle", qube=qube)
    if enrolment.client["endpoint"] != enrolment.endpoint:
        raise refusal("bundle-leads-elsewhere" if enrolment.forgotten else "bundle-misleads",
                      qube=qube, keyholder=enrolment.holder, maintenance=maintenance)
    aside = "; the old scripts' files and job were put aside" * (reply.get("aside") == "yes")
    return Done("its bundle has the server's name for borg" if enrolment.forgotten else
                f"the bundle is delivered{aside}", role or reply["changed"] == "yes",
                {"digests": {"bundle": reply["bundle"]}})


def _scheduled(enrolment: Enrolment) -> bool:
    return (enrolment.client["cron"] == "running" and enrolment.qube.feature(_CRON) == "1"
            and record.RESTORE not in enrolment.record.notes)


def _schedule(enrolment: Enrolment) -> Flow[Done]:
    if archive := enrolment.record.notes.get(record.RESTORE):
        reply = yield from enrolment.calling(enrolment.qube, "RestoreFiles", {
            "archive": archive, "paths": [], "directory": _OUTSIDE, "home": "back"})
        enrolment.session.tell(
            "files-are-back", qube=enrolment, archive=archive, directory=_OUTSIDE,
            files=reply["files"], bytes=size(int(reply["bytes"])), warnings=reply["warnings"])
        # Of the files that are back, no backup was made yet; before, it were one of an empty home.
        enrolment.note("deliver", Done("", learnt={"notes": {record.RESTORE: ""},
                                                   "times": {"backup": ""}}))
    enrolment.qube.set_feature(_CRON, "1")
    yield from enrolment.session.calling(enrolment.qube, "StartSchedule")
    return Done("cron runs, now and after each start")


def backup(enrolment: Enrolment) -> Flow[Done]:
    """Run one backup in a running, enrolled qube, which keeps its manifest in it."""
    qube, known, text = enrolment.qube, enrolment.record, manifest.of(enrolment.qube)
    whole = known.notes.get(record.BYTES, "")
    reply = yield from enrolment.session.calling(
        qube, "RunBackup", {"manifest": json.dumps(text)}, known.repository,
        int(whole) if whole.isdecimal() else 0)
    held, sent = size(int(reply["bytes"])), size(int(reply["sent"]))
    unread = "" if reply["warnings"] == "0" else f"; warnings: {reply['warnings']}"
    says = f"archive {reply['archive']}: {reply['files']} files, {held}, {sent} sent{unread}"
    return Done(says, reply=reply, learnt={
        "notes": {"archive": reply["archive"], record.BYTES: reply["bytes"]},
        "times": {"backup": str(int(time.time()))},
        "digests": {"proof": reply["proof"], "manifest": manifest.digest(text)}})


def _backed_up(enrolment: Enrolment) -> bool:
    return "backup" in enrolment.record.times and enrolment.client["last_success"] != "0"


def _proved(enrolment: Enrolment) -> bool:
    """With a vault only a proof of what is in it counts."""
    known, wanted = enrolment.record, record.PROOF_IN_WORKER
    return known.times.get("proved", "0") != "0" and (
        enrolment.vault is None or known.notes.get("proved") == wanted)


def _prove(enrolment: Enrolment) -> Flow[Done]:
    qube, now = enrolment.qube, str(int(time.time()))
    archive = enrolment.record.notes.get("archive", "latest")
    reply = yield from enrolment.calling(
        qube, "ProveBundle", {"archive": archive, "uuid": str(qube.uuid)})
    if reply["proof"] != enrolment.record.digests.get("proof"):
        raise refusal("bundle-proof-differs", qube=enrolment, archive=archive)
    where = record.PROOF_IN_WORKER if enrolment.vault else record.PROOF_IN_CLIENT
    if enrolment.vault is not None:
        yield from worker.proving(enrolment.session, enrolment.vault, enrolment.repository, archive,
                                  enrolment.record.digests)
    return Done(f"a file was read back {where}", learnt={
        "notes": {"proved": where}, "times": {"proved": now, "enrolled": now}})


def _forget(enrolment: Enrolment) -> Flow[Done]:
    """Have the secrets nowhere else: of a rotation the former ones, else the keyholder's copy."""
    if enrolment.by_client:
        done = yield from client_keys.settling(enrolment)
        if done.changed:
            yield from publishing([enrolment], vault.of(enrolment))
        return done
    yield from REGISTRY.coming()
    with REGISTRY:
        reply = yield from enrolment.calling(enrolment.maintenance, "ForgetSecrets")
    return Done(f"{enrolment.maintenance} has forgotten its secrets", reply["changed"] == "yes")


# From the first that needs the key on the server; those before go through with many qubes at once.
STEPS = (
    Step("initialise", _initialise, lambda each: each.forgotten),
    Step("escrow", _escrow, escrow=True),
    Step("deliver", _deliver, _delivered),
    Step("schedule", _schedule, _scheduled),
    Step("backup", backup, _backed_up),
    Step("prove", _prove, _proved),
    Step("forget", _forget, lambda each: each.forgotten and not each.by_client, escrow=True),
)
