"""Running a revocation in the tests, and what is left of an enrolment afterwards."""

from qvm_borg import errors
from qvm_borg.tools import revoke
from qvm_borg.tools.command_line import Parser
from unit.dom0.honest import Honest


def revokes(machine: Honest, *args: str) -> int:
    """Do what the command does, where this machine's gate is; answers its exit code."""
    machine.app.trace.clear()
    session = machine.session()
    try:
        revoke._work(session, Parser("revoke").parse_args(args or ["work"]))
    except errors.QvmBorgError as error:
        return session.report.error(error)
    return 0


def features(machine: Honest, name: str = "work") -> set[str]:
    """Answer which features of ours a qube has."""
    own = machine.app.domains.all[name].features.own
    return {key for key in own if key in ("x-qborg", "service.qborg-client")}


def calls(machine: Honest) -> list[str]:
    """Answer the services that were called, in their order."""
    return [line.split("qborg.")[1] for line in machine.app.trace if line.startswith("call ")]
