"""What every command works with: the machine, the person, and calls that both can follow.

Runs in dom0. It knows the names of services, not what they do.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from qborg_wire.names import Repository
from qborg_wire.request import Values
from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg import gate, record, remote, settings
from qvm_borg.errors import DeliveryRefused, NotEnrolled, SettingsError
from qvm_borg.qubes import Qube, System
from qvm_borg.report import Report

_GATE_DELAY = 2.0  # seconds until the policy daemon must have seen the gate


@dataclass(frozen=True)
class Session:
    """One run of one command; `gates` is where the policy daemon looks for the gate."""

    system: System
    report: Report
    gates: Path = gate.DIRECTORY

    def call(self, qube: Qube, name: str, values: Values | None = None,
             repository: Repository | None = None) -> dict[str, str]:
        """Call a service; raises what remote.call raises."""
        self.report.detail(f"{qube.name}: {SERVICES[name].full_name}+{repository or ''}")
        return remote.call(qube, SERVICES[name], repository, values or {}, self.report.progress)

    def passing(self, inner: str, source: Qube, target: Qube, name: str, values: Values,
                repository: Repository) -> dict[str, str]:
        """Call a service that itself calls `inner` of the target; the gate is open meanwhile.

        A refused call is repeated: the policy daemon notices an open gate with a delay.
        """
        deadline = time.monotonic() + _GATE_DELAY
        with gate.opened(self.gates, gate.text(inner, repository, source.uuid, target.uuid)):
            while True:
                try:
                    return self.call(source, name, values, repository)
                except DeliveryRefused:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)

    def site(self) -> tuple[settings.Settings, Qube]:
        """Answer the settings and the maintenance qube; raises SettingsError without both."""
        found, maintenance = settings.load(), self.system.role(Role.MAINTENANCE)
        if found is None or maintenance is None:
            raise SettingsError("the set-up is not done")
        return found, maintenance

    def records(self) -> list[tuple[Qube, record.Record]]:
        """Answer every qube that has a record, its own or as a copy."""
        found = ((qube, record.parse(qube.feature(record.FEATURE)))
                 for qube in self.system.qubes())
        return [(qube, known) for qube, known in found if known]

    def known(self, name: str) -> tuple[Qube, record.Record]:
        """Answer a qube that has a record, its own or as a copy; raises NotEnrolled."""
        qube = self.system.find(name)
        found = record.parse(qube.feature(record.FEATURE))
        if found is None:
            raise NotEnrolled(f"{name} is not enrolled", NotEnrolled.hint.replace("NAME", name))
        return qube, found

    def enrolled(self, name: str) -> tuple[Qube, record.Record]:
        """Answer an enrolled qube and its record; raises NotEnrolled."""
        qube, found = self.known(name)
        if found.uuid != qube.uuid:
            raise NotEnrolled(f"{name} is a copy of the enrolled {found.repository.qube}",
                              f"give it an identity of its own: `qvm-features --unset {name} "
                              f"{record.FEATURE}`, then enrol it")
        if found.step == record.REVOKING:
            raise NotEnrolled(f"the key of {name} is revoked",
                              f"`qvm-borg-revoke {name}` goes on with it")
        return qube, found
