"""What every command works with: the machine, the person, and calls that both can follow.

Runs in dom0. It knows the names of services, not what they do.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from qborg_wire.names import NameRefused, Repository, parse_qube, parse_repository
from qborg_wire.request import Values
from qborg_wire.row import Role
from qborg_wire.services import SERVICES, accepting
from qvm_borg import gate, record, remote, settings
from qvm_borg.errors import DeliveryRefused, QvmBorgError
from qvm_borg.flow import Flow, Outcome, now, pausing, together
from qvm_borg.qubes import Qube, System
from qvm_borg.report import Report
from qvm_borg.telling import refusal, text

_GATE_DELAY = 2.0  # seconds until the policy daemon must have seen the gate
ROLE = "service.qborg-client"
_T = TypeVar("_T")


def _required(found: _T | None) -> _T:
    if found is None:
        raise refusal("not-set-up")
    return found


@dataclass(frozen=True)
class Session:
    """One run of one command; `gates` is where the policy daemon looks for the gate."""

    system: System
    report: Report
    gates: Path = gate.DIRECTORY

    def call(self, qube: Qube, name: str, values: Values | None = None,
             repository: Repository | None = None) -> dict[str, str]:
        """Call a service and wait for its reply; raises what remote.calling raises."""
        return self.wait(self.calling(qube, name, values, repository))

    def wait(self, flow: Flow[Outcome]) -> Outcome:
        """Answer what a flow comes to; within another one this lets nobody else go on."""
        return together(flow)[0]

    def calling(self, qube: Qube, name: str, values: Values | None = None,
                repository: Repository | None = None, whole: int = 0) -> Flow[dict[str, str]]:
        """Call a service beside others; raises what remote.calling raises.

        `whole`: the bytes that are expected, if they are known.
        """
        self.report.detail(f"{qube.name}: {SERVICES[name].full_name}+{repository or ''}")
        work = repository.qube if repository else qube.name
        try:
            return (yield from remote.calling(
                qube, SERVICES[name], repository, values or {},
                partial(self.report.progress, work=work, whole=whole)))
        finally:
            self.report.over(work)

    def tell(self, key: str, /, **fields: object) -> None:
        """Say a line of lines.toml."""
        self.report.say(text(key, **fields))

    @contextmanager
    def running(self, *qubes: Qube) -> Iterator[None]:
        """Have qubes run for the block, and put those back that were started for it."""
        with ExitStack() as stack:
            for qube in qubes:
                if qube.start():
                    stack.callback(self.put_back, qube)
            yield

    def put_back(self, qube: Qube) -> bool:
        """Shut down what we have started, unless somebody uses it by now, and say if it stays on.

        Answers whether it has halted.
        """
        program = self._used_by(qube)
        if not (stopped := program == "none" and qube.stop()):
            self.tell("stays-on" if program == "none" else "stays-used", qube=qube, program=program)
        return stopped

    def _used_by(self, qube: Qube) -> str:
        """Answer a program that somebody runs in a client; what does not tell may be in use."""
        if qube.state() != "Running" or qube.feature(ROLE) != "1":
            return "none"
        try:
            return self.call(qube, "DescribeUse")["used_by"]
        except QvmBorgError:
            return "something unknown"

    def passing(self, inner: str, source: Qube, target: Qube, name: str, values: Values,
                repository: Repository) -> Flow[dict[str, str]]:
        """Call a service that itself calls `inner` of the target; the gate is open meanwhile.

        A refused call is repeated: the policy daemon notices an open gate with a delay.
        """
        deadline = now() + _GATE_DELAY
        with gate.opened(self.gates, gate.text(inner, repository, source.uuid, target.uuid)):
            while True:
                try:
                    return (yield from self.calling(source, name, values, repository))
                except DeliveryRefused:
                    if now() > deadline:
                        raise
                    yield from pausing(0.1)

    def releasing(self, vault: Qube, target: Qube, role: Role, repository: Repository) -> Flow[str]:
        """Have the vault send a repository's record to the qube in that role; both run.

        Answers its digest, as the vault says.
        """
        reply = yield from self.passing(accepting(role).name, vault, target, "ReleaseRecord", {
            "receiver": target.name, "role": role.value}, repository)
        return reply["record"]

    @cached_property
    def settings(self) -> settings.Settings:
        """Answer what the set-up has stored; raises SettingsError without it."""
        return _required(settings.load())

    @cached_property
    def maintenance(self) -> Qube:
        """Answer the maintenance qube; raises SettingsError without one.

        Once, as the look for a role is at every qube, and one may be gone by then.
        """
        return _required(self.system.role(Role.MAINTENANCE))

    def require_set_up(self) -> None:
        """Raise SettingsError without one of the two."""
        _required(self.settings and self.maintenance)

    def repository(self, name: str) -> Repository:
        """Answer what is meant by the name of a qube or of a repository; raises NotEnrolled."""
        machine = self.settings.machine
        with suppress(NameRefused):
            found = parse_repository(name)
            if found.machine == machine and name not in (*self.originals(), *self.unread()):
                return found
        with suppress(NameRefused):
            return Repository(machine, parse_qube(name))
        raise refusal("no-repository", name=name)

    def original(self, name: str) -> tuple[Repository, record.Record | None]:
        """Answer what is meant by a name, and dom0's record of it, None of a qube that is gone."""
        repository = self.repository(name)
        _qube, known = self.originals().get(repository.qube, (None, None))
        return known.repository if known else repository, known

    def records(self) -> list[tuple[Qube, record.Record]]:
        """Answer every qube that has a record, its own or as a copy."""
        return [(qube, known) for qube in self.system.qubes()
                if (known := record.parse(qube.feature(record.FEATURE)))]

    def originals(self) -> dict[str, tuple[Qube, record.Record]]:
        """Answer every qube that is enrolled itself, no copies, by its name."""
        return {str(each[0]): each for each in self.records() if each[1].uuid == each[0].uuid}

    def known(self, name: str) -> tuple[Qube, record.Record]:
        """Answer a qube that has a record, its own or as a copy; raises NotEnrolled."""
        qube = self.system.find(name)
        told = qube.feature(record.FEATURE)
        if (found := record.parse(told)) is None:
            raise refusal("record-unread" if told else "not-enrolled", name=name)
        return qube, found

    def unread(self) -> list[str]:
        """Answer the names of the qubes whose record cannot be read."""
        return [qube.name for qube in self.system.qubes()
                if (told := qube.feature(record.FEATURE)) and record.parse(told) is None]

    def enrolled(self, name: str) -> tuple[Qube, record.Record]:
        """Answer an enrolled qube and its record; raises NotEnrolled."""
        qube, found = self.known(name)
        if found.uuid != qube.uuid:
            raise refusal("is-no-original", name=name, original=found.repository.qube,
                          feature=record.FEATURE)
        if found.step == record.REVOKING:
            raise refusal("is-revoked", name=name)
        return qube, found
