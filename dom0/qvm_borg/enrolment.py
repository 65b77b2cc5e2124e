"""One qube on its way to being enrolled, and the shape of a step it takes.

Runs in dom0; it handles digests and fingerprints, never what they are digests of.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from qborg_wire import endpoint
from qborg_wire.names import Repository
from qborg_wire.request import Values
from qvm_borg import record
from qvm_borg.qubes import Qube
from qvm_borg.session import Session
from qvm_borg.settings import Settings

AS_IT_IS: Values = {"quota": "keep", "directory": "none"}  # what MakeKeys is asked by default
ORDER = ("plan", "preflight", "create", "publish", "initialise", "escrow", "deliver", "schedule",
         "backup", "prove", "forget")


@dataclass(frozen=True)
class Done:
    """What a step has done: a line for the person, and what the record learns from it."""

    text: str
    changed: bool = True
    learnt: Mapping[str, Any] = field(default_factory=dict)


class Enrolment:
    """One qube on its way; `client` is what it last said of itself, `vault` None: no escrow."""

    def __init__(self, session: Session, settings: Settings, maintenance: Qube, qube: Qube,
                 asked: Values = AS_IT_IS, vault: Qube | None = None) -> None:
        self.session, self.settings = session, settings
        self.maintenance, self.qube, self.vault = maintenance, qube, vault
        self.repository = Repository(settings.machine, qube.name)
        self.asked = asked
        # A person may correct the settings: then another bundle must be delivered.
        self.endpoint = endpoint.digest(settings.host, settings.port, settings.account,
                                        settings.host_key, settings.remote_borg)
        self.record = record.parse(qube.feature(record.FEATURE)) or record.Record(
            qube.uuid, self.repository, "plan", notes={"escrow": record.NO_ESCROW})
        self.client: dict[str, str] = {}
        self.line = ""  # of authorized_keys, once its key is known
        self.forgotten = False  # by the keyholder: its secrets
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
        known = ORDER.index(self.record.step) if self.record.step in ORDER else 0
        learnt: dict[str, Any] = {
            key: {**getattr(self.record, key), **value} if isinstance(value, dict) else value
            for key, value in done.learnt.items()}
        step = ORDER[max(known, ORDER.index(step))]
        self.record = replace(self.record, step=step, **learnt)
        written = self.qube.set_feature(record.FEATURE, record.render(self.record))
        self.changed = written or done.changed or self.changed


@dataclass(frozen=True)
class Step:
    """One row: its question, `so` to say when the answer is yes, else the action to take.

    What has no action is done by the runner; what has no question, by a service that asks itself.
    A step of the escrow is left out by --no-escrow.
    """

    name: str
    so: str = ""
    question: Callable[[Enrolment], bool] = lambda _enrolment: False
    action: Callable[[Enrolment], Done] = lambda _enrolment: Done("", changed=False)
    escrow: bool = False
