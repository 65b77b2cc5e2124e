"""The steps of an enrolment: each a question asked of reality and an action that makes it so.

Runs in dom0; it handles digests and fingerprints, never what they are digests of. Where a step
has no question of its own, its service asks itself and answers whether it changed anything.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qborg_wire import endpoint, names
from qborg_wire.key_line import NO_QUOTA, restricted_line
from qborg_wire.names import Repository
from qborg_wire.request import Values
from qvm_borg import gate, record
from qvm_borg.errors import DeliveryRefused, ProofFailed, WireError
from qvm_borg.qubes import Qube
from qvm_borg.report import size
from qvm_borg.session import Session
from qvm_borg.settings import Settings

_ROLE, _CRON = "service.qborg-client", "service.crond"
_GATE_DELAY = 2.0  # seconds until the policy daemon must have seen the gate
AS_IT_IS: Values = {"quota": "keep", "directory": "none"}  # what MakeKeys is asked by default


@dataclass(frozen=True)
class Done:
    """What a step has done: a line for the person, and what the record learns from it."""

    text: str
    changed: bool = True
    learnt: Mapping[str, Any] = field(default_factory=dict)


class Enrolment:
    """One qube on its way; `client` is what it last said of itself."""

    def __init__(self, session: Session, settings: Settings, maintenance: Qube, qube: Qube,
                 asked: Values = AS_IT_IS) -> None:
        self.session, self.settings = session, settings
        self.maintenance, self.qube = maintenance, qube
        self.repository = Repository(settings.machine, qube.name)
        self.asked = asked
        # A person may correct the settings: then another bundle must be delivered.
        self.endpoint = endpoint.digest(settings.host, settings.port, settings.account,
                                        settings.host_key, settings.remote_borg)
        self.record = record.parse(qube.feature(record.FEATURE)) or record.Record(
            qube.uuid, self.repository, "plan", notes={"escrow": "none, by choice"})
        self.client: dict[str, str] = {}
        self.line = ""  # of authorized_keys, once its key is known
        self.changed = False

    @property
    def imports(self) -> bool:
        """Whether old keys are to be taken over."""
        return self.asked["directory"] != AS_IT_IS["directory"]

    def __str__(self) -> str:
        return self.qube.name

    def describe(self) -> dict[str, str]:
        """Ask the running qube about itself; answers what it says."""
        values = {"host": self.settings.host, "port": self.settings.port}
        self.client = self.session.call(self.qube, "DescribeClient", values)
        return self.client

    def keyholder(self, name: str, values: Values | None = None) -> dict[str, str]:
        """Call a service of the keyholder about this repository."""
        return self.session.call(self.maintenance, name, values, self.repository)

    def warn(self) -> None:
        """Say what the person should know each time."""
        if record.SECRETS in self.record.notes:
            self.session.report.say(f"{self}: its secrets were {record.IMPORTED}")

    def note(self, step: str, done: Done) -> None:
        """Write into the record what a step has changed; the record never goes back a step."""
        order = [row.name for row in STEPS]
        known = order.index(self.record.step) if self.record.step in order else 0
        learnt: dict[str, Any] = {
            key: {**getattr(self.record, key), **value} if isinstance(value, dict) else value
            for key, value in done.learnt.items()}
        step = order[max(known, order.index(step))]
        self.record = replace(self.record, step=step, **learnt)
        written = self.qube.set_feature(record.FEATURE, record.render(self.record))
        self.changed = written or done.changed or self.changed


@dataclass(frozen=True)
class Step:
    """One row: its question, `so` to say when the answer is yes, else the action to take.

    What has no action is done by the runner; what has no question, by a service that asks itself.
    """

    name: str
    so: str = ""
    question: Callable[[Enrolment], bool] = lambda _enrolment: False
    action: Callable[[Enrolment], Done] = lambda _enrolment: Done("", changed=False)
    left_out: bool = False


def publish(enrolments: Sequence[Enrolment]) -> tuple[Done, list[str]]:
    """Have the keys of all of them in the server's authorized_keys, written once.

    Answers also the repositories whose lines somebody else has still to add there.
    """
    one, names = enrolments[0], [str(each.repository) for each in enrolments]
    reply = one.session.call(one.maintenance, "PublishKeys", {"repositories": names})
    return Done("its key is on the server", reply["changed"] == "yes"), reply["awaited"].split()


def create(enrolment: Enrolment) -> Done:
    """Have a key pair and a passphrase at the keyholder."""
    reply, known = enrolment.keyholder("MakeKeys", enrolment.asked), enrolment.record.fingerprint
    try:
        told = names.fingerprint(reply["public_key"])
    except ValueError:
        told = ""
    if reply["fingerprint"] != told:
        raise WireError(f"{enrolment.maintenance}: the fingerprint is another key's")
    if reply["created"] == "no" and known not in ("", reply["fingerprint"]):
        raise WireError(f"{enrolment.maintenance}: it tells of another key than was noted for "
                        f"{enrolment}")
    enrolment.line = restricted_line(enrolment.settings.remote_borg, enrolment.repository,
                                     reply["public_key"], reply["quota"])
    quota = "" if reply["quota"] == NO_QUOTA else f", quota {reply['quota']}"
    imported = {record.SECRETS: record.IMPORTED} if reply["origin"] == "imported" else {}
    return Done(f"{enrolment.maintenance} has its key {reply['fingerprint']}{quota}",
                reply["created"] == "yes",
                {"fingerprint": reply["fingerprint"], "notes": imported})


def _initialise(enrolment: Enrolment) -> Done:
    reply = enrolment.keyholder("InitRepository", {"encryption": "repokey-blake2"})
    return Done("its repository is on the server", reply["created"] == "yes",
                {"digests": {"key": reply["key_digest"]}})


def _delivered(enrolment: Enrolment) -> bool:
    says, known = enrolment.client, enrolment.record
    holds = says["repository"], says["bundle"], says["endpoint"]
    sent = str(enrolment.repository), known.digests.get("bundle"), enrolment.endpoint
    return holds == sent and enrolment.qube.feature(_ROLE) == "1"


def _deliver(enrolment: Enrolment) -> Done:
    if _proved(enrolment):  # of another bundle: forgotten first, so that a kill cannot keep it
        enrolment.note("deliver", Done("", learnt={"times": {"proved": "0"}}))
    role = enrolment.qube.set_feature(_ROLE, "1")
    line = gate.text(
        "InstallBundle", enrolment.repository, enrolment.maintenance.uuid, enrolment.qube.uuid)
    with gate.opened(enrolment.session.gates, line):
        reply = _send(enrolment, time.monotonic() + _GATE_DELAY)
    if enrolment.describe()["bundle"] != reply["bundle"]:
        raise WireError(f"{enrolment}: it has another bundle than the one that was sent")
    if enrolment.client["endpoint"] != enrolment.endpoint:
        raise WireError(f"{enrolment}: its bundle from {enrolment.maintenance} leads to another "
                        "server than the set-up", f"distrust {enrolment.maintenance}: it holds the "
                        f"admin key; shut down {enrolment}, so that it does not back up there")
    aside = "; the old scripts' files and job were put aside" * (reply["aside"] == "yes")
    return Done(f"the bundle is delivered{aside}", role or reply["changed"] == "yes",
                {"digests": {"bundle": reply["bundle"]}})


def _send(enrolment: Enrolment, deadline: float) -> dict[str, str]:
    while True:
        try:
            return enrolment.keyholder("SendBundle", {"client": enrolment.qube.name})
        except DeliveryRefused:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


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
    return enrolment.record.times.get("proved", "0") != "0"


def _prove(enrolment: Enrolment) -> Done:
    archive, now = enrolment.record.notes.get("archive", "latest"), str(int(time.time()))
    reply = enrolment.session.call(
        enrolment.qube, "ProveRecord", {"archive": archive}, enrolment.repository)
    if reply["proof"] != enrolment.record.digests.get("proof"):
        raise ProofFailed(f"{enrolment}: what was read back from {archive} is not what was saved")
    return Done(f"a file was read back {record.PROOF_IN_CLIENT}", learnt={
        "notes": {"proved": record.PROOF_IN_CLIENT}, "times": {"proved": now, "enrolled": now}})


STEPS = (
    Step("plan"),
    Step("preflight"),
    Step("create", action=create),
    Step("publish"),
    Step("initialise", action=_initialise),
    Step("escrow", "skipped, by --no-escrow", left_out=True),
    Step("deliver", "it holds its bundle", _delivered, _deliver),
    Step("schedule", "cron runs in it", _scheduled, _schedule),
    Step("backup", "it has been backed up", _backed_up,
         lambda each: backup(each.session, each.qube, each.repository)),
    Step("prove", "its proof is recorded", _proved, _prove),
    Step("forget", "skipped, by --no-escrow", left_out=True),
)
