"""One qube on its way to being enrolled, and the shape of a step it takes.

Runs in dom0; it handles digests and fingerprints, never what they are digests of.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from qborg_wire import endpoint, names
from qborg_wire.request import Values
from qvm_borg import record
from qvm_borg.flow import Flow, Turn
from qvm_borg.qubes import Qube
from qvm_borg.session import Session
from qvm_borg.telling import refusal
from qvm_borg.visits import Visits

_BY_CLIENT = {"InitRepository": "OpenRepository", "SendRecord": "SubmitRecord"}
ORDER = ("plan", "preflight", "create", "publish", "initialise", "escrow", "deliver", "schedule",
         "backup", "prove", "forget")
REGISTRY = Turn()  # the maintenance qube has one, and a publication has it for minutes


@dataclass(frozen=True)
class Done:
    """What a step has done: a line for the person, what the record learns, what a qube replied."""

    text: str
    changed: bool = True
    learnt: Mapping[str, Any] = field(default_factory=dict)
    reply: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What a person wants: `directory` of old keys to import; the secrets that are to be new.

    by_client: the qube is to be its own keyholder; it is so, too, once it has rotated.
    continues: the repository that it takes over, which nobody else uses any more; restore: the
    archive whose files it gets then, as it was made again.
    encryption: of a repository to be made; empty for whatever it is, or the default.
    former: the name that its repository gets, as a new one is to be in its place.
    jobs, memory: how many qubes go their way side by side, and the MiB of those that are started.
    """

    quota: str = "keep"
    directory: str = "none"
    by_client: bool = False
    fresh: Sequence[str] = ()
    continues: names.Repository | None = None
    restore: str = ""
    encryption: str = ""
    former: names.Repository | None = None
    jobs: int = 3
    memory: int = 4096


class Enrolment:
    """One qube on its way; `client` is what it last said of itself, `vault` None: no escrow.

    `visits`: of several qubes, else it runs already.
    """

    def __init__(self, session: Session, qube: Qube, asked: Asked = Asked(),
                 vault: Qube | None = None) -> None:
        self.session, self.qube, self.asked, self.vault = session, qube, asked, vault
        self.settings, self.maintenance = session.settings, session.maintenance
        self.repository = names.Repository(self.settings.machine, qube.name)
        # A person may correct the settings: then another bundle must be delivered.
        where = self.settings
        self.endpoint = endpoint.digest(where.host, where.port, where.account, where.host_key,
                                        where.remote_borg)
        self.known = record.parse(qube.feature(record.FEATURE))
        if self.known and self.known.repository == asked.continues and (
                (self.known.uuid, self.known.repository) != (qube.uuid, self.repository)):
            self.known = None  # of the qube that it was a copy of, or of its former name
        elif self.known and self.known.notes.get(record.CONTINUES) == str(asked.continues):
            self.asked = replace(asked, continues=None)  # is so, or goes on by the note
        self.record = self.known or record.Record(qube.uuid, self.repository, "plan", notes={
            "escrow": record.NO_ESCROW, record.ENCRYPTION: asked.encryption or record.REPOKEY})
        self.client: dict[str, str] = {}
        self.visits: Visits | None = None
        self.line = self.key = ""  # of authorized_keys, and the public one that was told last
        self.forgotten = self.changed = False  # by the keyholder: its secrets; by this run: any

    @property
    def by_client(self) -> bool:
        """Whether the qube is its own keyholder."""
        return bool(self.asked.by_client or self.asked.fresh or self.asked.continues
                    or self.record.notes.get(record.KEYS) == record.BY_CLIENT)

    @property
    def holder(self) -> Qube:
        """The keyholder."""
        return self.qube if self.by_client else self.maintenance

    def __str__(self) -> str:
        return self.qube.name

    def coming(self) -> Flow[None]:
        """Wait until what a visit of the qube starts fits the memory."""
        if self.visits:
            yield from self.visits.coming(self.qube)

    def running(self) -> AbstractContextManager[object]:
        """Have the qube run for a block."""
        return self.visits.at(self.qube) if self.visits else self.session.running(self.qube)

    def describing(self) -> Flow[dict[str, str]]:
        """Ask the running qube about itself; answers what it says."""
        values = {"host": self.settings.host, "port": self.settings.port}
        self.client = yield from self.session.calling(self.qube, "DescribeClient", values)
        return self.client

    def service(self, name: str) -> str:
        """Answer what the keyholder calls a service of that name: a file belongs to one role."""
        return _BY_CLIENT[name] if self.by_client else name

    def calling(self, qube: Qube, name: str, values: Values | None = None) -> Flow[dict[str, str]]:
        """Call a service of a qube about this repository."""
        return self.session.calling(qube, name, values, self.repository)

    def warn(self) -> None:
        """Say what the person should know each time."""
        if record.SECRETS in self.record.notes:
            self.session.report.say(f"{self}: its secrets were {record.IMPORTED}")

    def note(self, step: str, done: Done) -> None:
        """Write into the record what a step has changed; the record never goes back a step.

        An empty note is taken out.
        """
        known = ORDER.index(self.record.step) if self.record.step in ORDER else 0
        learnt: dict[str, Any] = {
            key: {name: text for name, text in {**getattr(self.record, key), **value}.items()
                  if text} if isinstance(value, dict) else value
            for key, value in done.learnt.items()}
        step = ORDER[max(known, ORDER.index(step))]
        self.record = replace(self.record, step=step, **learnt)
        if now := done.learnt.get("times", {}).get("backup"):  # Qube Manager shows it
            self.qube.admin("property.Set", "backup_timestamp", now)
        written = self.qube.set_feature(record.FEATURE, record.render(self.record))
        self.changed = written or done.changed or self.changed


def is_of(told: str, public_key: str) -> bool:
    """Tell whether a fingerprint is that of a key."""
    with suppress(ValueError, IndexError):  # of what is no key
        return names.fingerprint(public_key) == told
    return False


def fingerprint(qube: Qube, public_key: str, told: str) -> str:
    """Answer a key's fingerprint; raises WireError if the qube told that of another key."""
    if not is_of(told, public_key):
        raise refusal("fingerprint-of-another", qube=qube)
    return told


@dataclass(frozen=True)
class Step:
    """One row: the action to take, unless the answer to its question is yes.

    What has no question is done by a service that asks itself. A step of the escrow is left out by
    --no-escrow.
    """

    name: str
    action: Callable[[Enrolment], Flow[Done]]
    question: Callable[[Enrolment], bool] = lambda _enrolment: False
    escrow: bool = False
