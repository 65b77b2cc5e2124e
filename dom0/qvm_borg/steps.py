"""The steps of an enrolment: each a question asked of reality and an action that makes it so.

Runs in dom0; it handles digests and fingerprints, never what they are digests of. Where a step
has no question of its own, its service asks itself and answers whether it changed anything.
"""

import time
from collections.abc import Sequence

from qborg_wire.key_line import NO_QUOTA, restricted_line
from qborg_wire.names import Repository
from qvm_borg import client_keys, record, vault, worker
from qvm_borg.enrolment import ROLE, Done, Enrolment, Step, fingerprint
from qvm_borg.errors import EnrolmentRefused, EscrowMissing, ProofFailed, WireError
from qvm_borg.qubes import Qube
from qvm_borg.report import size
from qvm_borg.session import Session

_BY_HAND = ("`qborg-vault-export` in the vault brings them out; docs/recovery.md tells how they "
            "open the repository")
_CRON = "service.crond"


def publish(enrolments: Sequence[Enrolment]) -> tuple[Done, list[str]]:
    """Have the keys of all of them in the server's authorized_keys, written once.

    Answers also the repositories whose lines somebody else has still to add there.
    """
    one, names = enrolments[0], [str(each.repository) for each in enrolments]
    reply = one.session.call(one.maintenance, "PublishKeys", {"repositories": names})
    return Done("its key is on the server", reply["changed"] == "yes"), reply["awaited"].split()


def create(enrolment: Enrolment) -> Done:
    """Have a key pair and a passphrase at the keyholder."""
    if enrolment.by_client:
        return client_keys.create(enrolment)
    reply, known = enrolment.call(enrolment.maintenance, "MakeKeys", {
        "quota": enrolment.asked.quota, "directory": enrolment.asked.directory,
    }), enrolment.record.fingerprint
    fingerprint(enrolment.maintenance, reply["public_key"], reply["fingerprint"])
    if reply["created"] == "no" and known not in ("", reply["fingerprint"]):
        raise WireError(f"{enrolment.maintenance}: it tells of another key than was noted for "
                        f"{enrolment}")
    enrolment.forgotten = reply["secrets"] == "forgotten"
    enrolment.line = restricted_line(enrolment.settings.remote_borg, enrolment.repository,
                                     reply["public_key"], reply["quota"])
    quota = "" if reply["quota"] == NO_QUOTA else f", quota {reply['quota']}"
    imported = {record.SECRETS: record.IMPORTED} if reply["origin"] == "imported" else {}
    return Done(f"{enrolment.maintenance} has its key {reply['fingerprint']}{quota}",
                reply["created"] == "yes",
                {"fingerprint": reply["fingerprint"], "notes": imported})


def _initialise(enrolment: Enrolment) -> Done:
    reply = enrolment.call(enrolment.holder, enrolment.service("InitRepository"),
                           {"encryption": "repokey-blake2"})
    done = Done("its repository is on the server", reply["created"] == "yes", {"digests": {
        "key": reply["key_digest"], "repository": reply["repository_id"]}})
    if enrolment.by_client:  # so that a revocation can tell it from somebody else's
        enrolment.note("initialise", done)
        client_keys.register(enrolment, "register")
    return done


def _escrow(enrolment: Enrolment) -> Done:
    """Once the keyholder has forgotten, the vault alone knows; before, it is sent what is new."""
    keeper = vault.of(enrolment)
    if enrolment.forgotten:
        kept, changed = vault.describe(enrolment.session, keeper, enrolment.repository), False
    else:
        kept, changed = vault.keep(enrolment.session, enrolment.holder, keeper,
                                   enrolment.repository, enrolment.service("SendRecord"))
    digests = {"record": kept["record"], "key": kept["key"]}
    known = {key: enrolment.record.digests.get(key, told) for key, told in digests.items()}
    if "none" in digests.values() or enrolment.forgotten and digests != known:
        raise EscrowMissing(f"{keeper} does not have the record of {enrolment} that was proved",
                            f"restore {keeper} with Qubes' own `qvm-backup-restore`")
    if digests["key"] != known["key"]:
        raise WireError(f"{enrolment.holder}: its record of {enrolment} holds another key "
                        "than was exported")
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


def _rename_borg(enrolment: Enrolment) -> Done:
    """Have the server's new name for borg in a bundle that nobody can make anew any more."""
    says = enrolment.client
    if says["repository"] != str(enrolment.repository) or says["bundle"] == "none":
        raise EnrolmentRefused(f"{enrolment}: its bundle is gone, and {enrolment.maintenance} has "
                               "forgotten its secrets", _BY_HAND)
    # Whatever is installed there is proved anew, as dom0 may know of another bundle.
    enrolment.note("deliver", Done("", learnt={"times": {"proved": "0"}}))
    enrolment.qube.set_feature(ROLE, "1")
    reply = enrolment.call(
        enrolment.qube, "RenameBorg", {"remote_borg": enrolment.settings.remote_borg})
    if enrolment.describe()["endpoint"] != enrolment.endpoint:
        raise EnrolmentRefused(f"{enrolment}: its bundle leads to another server than the set-up, "
                               f"and {enrolment.maintenance} has forgotten its secrets", _BY_HAND)
    return Done("its bundle has the server's name for borg", reply["changed"] == "yes",
                {"digests": {"bundle": reply["bundle"]}})


def _deliver(enrolment: Enrolment) -> Done:
    if enrolment.forgotten:
        return _rename_borg(enrolment)
    if _proved(enrolment):  # of another bundle: forgotten first, so that a kill cannot keep it
        enrolment.note("deliver", Done("", learnt={"times": {"proved": "0"}}))
    role = enrolment.qube.set_feature(ROLE, "1")
    reply = enrolment.call(enrolment.qube, "AdoptBundle") if enrolment.by_client else (
        enrolment.session.passing(
            "InstallBundle", enrolment.maintenance, enrolment.qube, "SendBundle",
            {"client": enrolment.qube.name}, enrolment.repository))
    if enrolment.describe()["bundle"] != reply["bundle"]:
        raise WireError(f"{enrolment}: it has another bundle than the one that was sent")
    if enrolment.client["endpoint"] != enrolment.endpoint:
        raise WireError(f"{enrolment}: its bundle from {enrolment.holder} leads to another "
                        "server than the set-up", f"distrust {enrolment.holder}, and shut "
                        f"{enrolment} down, so that it does not back up there")
    aside = "; the old scripts' files and job were put aside" * (reply["aside"] == "yes")
    return Done(f"the bundle is delivered{aside}", role or reply["changed"] == "yes",
                {"digests": {"bundle": reply["bundle"]}})


def _scheduled(enrolment: Enrolment) -> bool:
    return enrolment.client["cron"] == "running" and enrolment.qube.feature(_CRON) == "1"


def _schedule(enrolment: Enrolment) -> Done:
    enrolment.qube.set_feature(_CRON, "1")
    enrolment.session.call(enrolment.qube, "StartSchedule")
    return Done("cron runs, now and after each start")


def backup(session: Session, qube: Qube, repository: Repository) -> Done:
    """Run one backup in a running, enrolled qube."""
    reply = session.call(qube, "RunBackup", None, repository)
    whole, sent = size(int(reply["bytes"])), size(int(reply["sent"]))
    unread = "" if reply["warnings"] == "0" else f"; warnings: {reply['warnings']}"
    text = f"archive {reply['archive']}: {reply['files']} files, {whole}, {sent} sent{unread}"
    return Done(text, learnt={
        "notes": {"archive": reply["archive"]}, "digests": {"proof": reply["proof"]},
        "times": {"backup": str(int(time.time()))}})


def _backed_up(enrolment: Enrolment) -> bool:
    return "backup" in enrolment.record.times and enrolment.client["last_success"] != "0"


def _proved(enrolment: Enrolment) -> bool:
    """With a vault only a proof of what is in it counts."""
    known, wanted = enrolment.record, record.PROOF_IN_WORKER
    return known.times.get("proved", "0") != "0" and (
        enrolment.vault is None or known.notes.get("proved") == wanted)


def _prove(enrolment: Enrolment) -> Done:
    archive, now = enrolment.record.notes.get("archive", "latest"), str(int(time.time()))
    reply = enrolment.call(enrolment.qube, "ProveBundle", {"archive": archive})
    if reply["proof"] != enrolment.record.digests.get("proof"):
        raise ProofFailed(f"{enrolment}: what was read back from {archive} is not what was saved")
    where = record.PROOF_IN_CLIENT
    if enrolment.vault is not None:
        worker.prove(enrolment.session, enrolment.maintenance, enrolment.vault,
                     enrolment.repository, archive, enrolment.record.digests)
        where = record.PROOF_IN_WORKER
    return Done(f"a file was read back {where}", learnt={
        "notes": {"proved": where}, "times": {"proved": now, "enrolled": now}})


def _forget(enrolment: Enrolment) -> Done:
    """Have the secrets nowhere else: of a rotation the former ones, else the keyholder's copy."""
    if enrolment.by_client:
        done = client_keys.settle(enrolment)
        if done.changed:
            publish([enrolment])
            vault.keep(enrolment.session, enrolment.maintenance, vault.of(enrolment),
                       vault.account(enrolment.settings, enrolment.maintenance))
        return done
    reply = enrolment.call(enrolment.maintenance, "ForgetSecrets")
    return Done(f"{enrolment.maintenance} has forgotten its secrets", reply["changed"] == "yes")


STEPS = (
    Step("plan"),
    Step("preflight"),
    Step("create", action=create),
    Step("publish"),
    Step("initialise", "its repository is on the server", lambda each: each.forgotten, _initialise),
    Step("escrow", action=_escrow, escrow=True),
    Step("deliver", "it holds its bundle", _delivered, _deliver),
    Step("schedule", "cron runs in it", _scheduled, _schedule),
    Step("backup", "it has been backed up", _backed_up,
         lambda each: backup(each.session, each.qube, each.repository)),
    Step("prove", "its proof is recorded", _proved, _prove),
    Step("forget", "its secrets are with it and in the vault",
         lambda each: each.forgotten and not each.by_client, _forget, escrow=True),
)
