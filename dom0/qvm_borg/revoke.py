"""Revocation: what an enrolment did is undone, less what was backed up and what opens it.

Runs in dom0; it handles fingerprints and digests, never what they are digests of. The key goes
first and dom0's own record last, so that a killed run is ended by the next one.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace

from qborg_wire.key_line import restricted_line
from qborg_wire.names import (
    NameRefused, Repository, fingerprint, parse_qube, parse_repository,
)
from qvm_borg import errors, record, vault
from qvm_borg.enrolment import ROLE
from qvm_borg.qubes import Qube, running
from qvm_borg.session import Session
from qvm_borg.settings import Settings

_STEPS = ("key", "publish", "proof", "vault", "bundle", "record")
_GONE = ("deleted", "missing")  # what may have become of a repository that shall be deleted
_ASIDE = "~/.local/share/qubes-borg/revoked-keys"


@dataclass(frozen=True)
class Asked:
    """What a person wants beside: `quarantine` yes, no or keep (as it is); the end of it all."""

    quarantine: str = "keep"
    delete: bool = False


@dataclass(frozen=True)
class Target:
    """Whose key it is: a repository, the qube that backs up into it and dom0's record of that.

    Both are None where they are gone; `copies` have its record and another uuid.
    """

    repository: Repository
    qube: Qube | None
    record: record.Record | None
    copies: tuple[Qube, ...]


def find(session: Session, machine: str, name: str) -> Target:
    """Answer what is meant by the name of a qube or of a repository; raises NotEnrolled."""
    known = session.records()
    named = {qube.name: (qube, found) for qube, found in known}.get(name)
    if named and named[0].uuid != named[1].uuid:
        raise errors.NotEnrolled(
            f"{name} is a copy of the enrolled {named[1].repository.qube}",
            f"`qvm-borg-revoke {named[1].repository}` revokes the key that both have")
    repository = named[1].repository if named else _spelled(machine, name)
    same = [(qube, found) for qube, found in known if found.repository == repository]
    copies = tuple(qube for qube, found in same if found.uuid != qube.uuid)
    for qube, found in same:
        if found.uuid == qube.uuid:
            return Target(repository, qube, found, copies)
    lost = [qube for qube in session.system.qubes() if qube.name == repository.qube
            and qube.name not in [copy.name for copy in copies] and qube.feature(ROLE)]
    return Target(repository, lost[0] if lost else None, None, copies)


def _spelled(machine: str, name: str) -> Repository:
    with suppress(NameRefused):
        found = parse_repository(name)
        if found.machine == machine:
            return found
    try:
        return Repository(machine, parse_qube(name))
    except NameRefused as error:
        raise errors.NotEnrolled(f"{name} is no repository of this computer",
                                 "`qvm-borg-status` lists them") from error


def revoke(
    session: Session, name: str, asked: Asked, confirm: Callable[[Repository, str], None]
) -> None:
    """Revoke a key and undo the rest, however much of it is left to be undone.

    `confirm` raises unless the person wants a repository deleted. Raises PartialFailure if the
    key is off the server and something else went wrong, which the next run makes good.
    """
    known, maintenance = session.site()
    target = find(session, known.machine, name)
    if asked.delete:
        confirm(target.repository, known.server)
    with ExitStack() as stack:
        stack.enter_context(running(maintenance, session.report.say))
        _Revocation(session, known, maintenance, target, asked).run(stack)


def _is_whole(reply: dict[str, str]) -> bool:
    """Tell whether a key and a fingerprint are of one key, or both none."""
    key, told = reply["public_key"], reply["fingerprint"]
    with suppress(ValueError, IndexError):  # of a key that is none
        return key == told == "none" or fingerprint(key) == told
    return False


class _Revocation:
    def __init__(self, session: Session, known: Settings, maintenance: Qube, target: Target,
                 asked: Asked) -> None:
        self._session, self._known, self._maintenance = session, known, maintenance
        self._target, self._asked, self._repository = target, asked, target.repository
        self._vault: Qube | None = None
        self._record = "none"  # in the vault: its digest
        self._changed, self._failed = False, 0

    def run(self, stack: ExitStack) -> None:
        """Take every step; one that fails after the key's does not stop the others."""
        self._find_vault(stack)
        marked = self._mark()
        if marked["fingerprint"] != "none":
            self._publish()
            marked = self._finish()
        with self._going_on():
            if self._vault:
                _kept, new = vault.keep(self._session, self._maintenance, self._vault,
                                        vault.account(self._known, self._maintenance))
                self._tell("vault", f"{self._vault} has the account's record", new)
        if marked["key"] == "taken":
            self._say("this line, or another one with its key, is still among the keys of "
                      f"{self._known.server}:")
            self._say(restricted_line(self._known.remote_borg, self._repository,
                                      marked["public_key"], marked["quota"]))
            raise errors.WaitingForServer(
                f"{self._repository}: {self._known.server} still accepts its key",
                "have every line with that key removed there, then run this again")
        with self._going_on():
            self._empty(marked)
        self._end(marked)

    def _find_vault(self, stack: ExitStack) -> None:
        with self._going_on():
            found = vault.find(self._session.system)
            if found:
                stack.enter_context(running(found, self._say))
                self._record = vault.describe(self._session, found, self._repository)["record"]
                self._vault = found

    def _call(self, stage: str) -> dict[str, str]:
        known = self._target.record and self._target.record.digests.get("record")
        forget = self._asked.delete or self._record == known
        reply = self._session.call(self._maintenance, "RevokeKeys", {
            "stage": stage, "quarantine": self._asked.quarantine,
            "secrets": "remove" if forget else "keep",
            "repository": "delete" if self._asked.delete else "keep"}, self._repository)
        own = self._target.record
        noted = {own.fingerprint, own.notes.get(record.NEXT, own.fingerprint)} if own else {""}
        # A person may be asked to remove every line of this key: it must be no other one.
        if not _is_whole(reply) or not {"", reply["fingerprint"]} & noted:
            raise errors.WireError(f"{self._maintenance}: it tells of another key than was noted "
                                   f"for {self._repository}")
        return reply

    def _mark(self) -> dict[str, str]:
        reply, qube, found = self._call("mark"), self._target.qube, self._target.record
        told = reply["fingerprint"]
        if told == "none" and not found:
            raise errors.NotEnrolled(f"no key of {self._repository} was ever made",
                                     "`qvm-borg-status` lists what is enrolled")
        text = "no key was ever made" if told == "none" else (
            f"{self._maintenance} never publishes {told} again")
        if qube and found:
            noted = record.render(replace(found, step=record.REVOKING))
            qube.set_feature(record.FEATURE, noted)
        self._tell("key", f"{self._repository}: {text}", reply["changed"] == "yes")
        return reply

    def _publish(self) -> None:
        reply = self._session.call(self._maintenance, "PublishKeys", {"repositories": []})
        self._tell("publish", f"the keys of {self._known.server} are without it",
                   reply["changed"] == "yes")

    def _finish(self) -> dict[str, str]:
        reply = self._call("finish")
        if reply["key"] == "refused":
            self._tell("proof", f"{self._known.server} refuses it", reply["changed"] == "yes")
        elif reply["key"] != "taken":
            raise errors.WireError(f"{self._maintenance}: it has not tried the revoked key")
        return reply

    def _empty(self, marked: dict[str, str]) -> None:
        """Have the bundle out of the qube, unless it may be the last thing that opens the rest."""
        qube, found = self._target.qube, self._target.record
        if qube is None:
            self._tell("bundle", "no qube here has it any more", changed=False)
            return
        if qube.feature(ROLE) is None and (found is None or "bundle" not in found.digests):
            self._tell("bundle", f"{qube} never got one", changed=False)
            return
        # One that rotates may hold the passphrase that is in force, and the vault the former one.
        alone = "none" == marked["secrets"] == self._record or found and record.NEXT in found.notes
        if alone and marked["repository"] not in _GONE:
            raise errors.EscrowMissing(
                f"the bundle stays in {qube}: nobody else is known to have what opens "
                f"{self._repository}", "restore the vault; or add --delete-repository")
        qube.set_feature(ROLE, "1")
        with running(qube, self._say):
            reply = self._session.call(qube, "RemoveBundle", None, self._repository)
        qube.remove_feature(ROLE)
        kept = "; ~/.config/qubes-borg stays as you changed it" * (reply["settings"] == "kept")
        self._tell("bundle", f"{qube} has none any more{kept}")

    def _end(self, marked: dict[str, str]) -> None:
        qube, path = self._target.qube, f"{self._known.server}:{self._repository.path}"
        if self._failed:
            raise errors.PartialFailure(f"the key of {self._repository} is revoked, and not all "
                                        "of the rest is done", "mend that and run it again")
        if qube and self._target.record:
            self._tell("record", f"dom0 has no record of {qube} any more; its service.crond stays "
                                 "on", qube.remove_feature(record.FEATURE))
        for copy in self._target.copies:
            self._say(f"{copy} is a copy, and what it holds of it opens nothing any more; "
                      f"`qvm-features --unset {copy} {record.FEATURE}` makes it a new qube")
        if marked["repository"] in _GONE:
            self._say(f"{path} is deleted" if marked["repository"] == "deleted"
                      else f"there was no {path}")
        elif marked["fingerprint"] != "none":
            frozen = ", in quarantine" * (marked["repository"] == "frozen")
            self._say(f"kept: {path} with its archives{frozen}")
        if self._record != "none":
            self._say(f"kept: the recovery record in {self._vault}")
        if marked["secrets"] == "kept":
            self._say(f"kept: key and passphrase in {self._maintenance}, {_ASIDE}; no vault is "
                      "known to have them")
        self._say(f"{self._repository}: revoked" if self._changed else
                  f"{self._repository}: was revoked already; nothing was changed")

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except errors.QvmBorgError as error:
            self._session.report.error(error)
            self._failed += 1

    def _tell(self, step: str, text: str, changed: bool = True) -> None:
        self._changed = self._changed or changed
        self._session.report.step(_STEPS, step, text)

    def _say(self, text: str) -> None:
        self._session.report.say(text)
