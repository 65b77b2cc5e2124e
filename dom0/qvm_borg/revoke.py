"""Revocation: what an enrolment did is undone, less what was backed up and what opens it.

Runs in dom0; it handles fingerprints and digests, never what they are digests of. The key goes
first and dom0's own record last, so that a killed run is ended by the next one.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from qborg_wire.key_line import restricted_line
from qborg_wire.names import Repository
from qvm_borg import client_keys, errors, record, vault
from qvm_borg.enrolment import is_of
from qvm_borg.qubes import Qube
from qvm_borg.session import ROLE, Session
from qvm_borg.telling import refusal, text

_STEPS = ("key", "publish", "proof", "vault", "bundle", "record")
_GONE = ("deleted", "missing")  # what may have become of a repository that shall be deleted
# The qube that backs up into a repository, and dom0's record of that; None where they are gone.
_Own = tuple[Qube | None, record.Record | None]


def revoke(session: Session, name: str, confirm: Callable[[Repository, str], None] | None,
           quarantine: str = "keep", delete: bool = False) -> None:
    """Revoke a key and undo the rest, however much of it is left to be undone.

    `confirm` raises unless the person wants a repository deleted; None asks nobody. `quarantine`
    yes, no or keep: as it is. `delete`: the repository as well, with all that is in it.
    Raises NotEnrolled for a name of no qube or repository, and PartialFailure if the key is off the
    server and something else went wrong, which the next run makes good.
    """
    revocation = _Revocation(session, name, quarantine, delete)
    if delete and confirm:
        confirm(revocation.repository, revocation.settings.server)
    with session.running(revocation.maintenance), ExitStack() as stack:
        revocation.run(stack)


def _meant(session: Session, name: str) -> tuple[Repository, _Own, list[Qube]]:
    """Answer what is meant by the name of a qube or of a repository, and the copies of its qube.

    Those have its record and another uuid.
    """
    known = session.records()
    for qube, found in known:
        if qube.name == name and qube.uuid != found.uuid:
            raise refusal("copy-has-same-key", name=name, original=found.repository.qube,
                          repository=found.repository)
    named = [found.repository for qube, found in known if qube.name == name]
    repository = named[0] if named else session.repository(name)
    same = [each for each in known if each[1].repository == repository]
    copies = [qube for qube, found in same if found.uuid != qube.uuid]
    own: list[_Own] = [each for each in same if each[0] not in copies] or [
        (qube, None) for qube in session.system.qubes() if qube.name == repository.qube
        and qube.name not in map(str, copies) and qube.feature(ROLE)]
    return repository, own[0] if own else (None, None), copies


class _Revocation:
    def __init__(self, session: Session, name: str, quarantine: str, delete: bool) -> None:
        self._session, self._quarantine, self._delete = session, quarantine, delete
        self.settings, self.maintenance = session.settings, session.maintenance
        self.repository, (self._qube, self._record), self._copies = _meant(session, name)
        self._vault: Qube | None = None
        self._kept = "none"  # the digest of its record, if that has the repository's key
        self._changed, self._failed = False, 0

    def run(self, stack: ExitStack) -> None:
        """Take every step; one that fails after the key's does not stop the others."""
        with self._going_on():
            if found := vault.find(self._session.system):
                stack.enter_context(self._session.running(found))
                told, own = vault.describe(self._session, found, self.repository), self._record
                if own is None or told["key"] == own.digests.get("key"):  # else it opens another
                    self._kept = told["record"]
                self._vault = found
        marked = self._mark()
        if marked["fingerprint"] != "none":
            told = self._session.call(self.maintenance, "PublishKeys", {"repositories": []})
            self._step("publish", "keys-without-it", told["changed"] == "yes")
            marked = self._call("finish")
            if marked["key"] == "refused":
                self._step("proof", "key-refused", marked["changed"] == "yes")
            elif marked["key"] != "taken":
                raise refusal("key-untried", **self._words())
        with self._going_on():
            if self._vault:
                kept = self._session.wait(vault.keeping_account(self._session, self._vault))
                self._step("vault", "account-kept", kept)
        if marked["key"] == "taken":
            self._say("line-still-there")
            self._session.report.show(restricted_line(
                self.settings.remote_borg, self.repository, marked["public_key"], marked["quota"]))
            raise refusal("key-still-taken", **self._words())
        with self._going_on():
            self._empty(marked)
        self._end(marked)

    def _call(self, stage: str) -> dict[str, str]:
        own, delete = self._record, self._delete
        forget = delete or self._kept == (own and own.digests.get("record"))
        reply = self._session.call(self.maintenance, "RevokeKeys", {
            "stage": stage, "quarantine": self._quarantine,
            "secrets": "remove" if forget else "keep",
            "repository": "delete" if delete else "keep"}, self.repository)
        key, told = reply["public_key"], reply["fingerprint"]
        noted = {own.fingerprint, own.notes.get(record.NEXT, own.fingerprint)} if own else {""}
        # A person may be asked to remove every line of this key: it must be no other one.
        if not (key == told == "none" or is_of(told, key)) or not {"", told} & noted:
            raise refusal("another-key", teller=self.maintenance, subject=self.repository)
        return reply

    def _mark(self) -> dict[str, str]:
        reply = self._call("mark")
        made = reply["fingerprint"] != "none"
        if not made and not self._record:
            raise refusal("no-key-made", **self._words())
        if self._qube and self._record:
            begun = replace(self._record, step=record.REVOKING)
            self._qube.set_feature(record.FEATURE, record.render(begun))
        self._step("key", "key-unpublished" if made else "key-never-made",
                   reply["changed"] == "yes", fingerprint=reply["fingerprint"])
        return reply

    def _empty(self, marked: dict[str, str]) -> None:
        """Have the bundle out of the qube, unless it may be the last thing that opens the rest."""
        qube, found = self._qube, self._record
        if qube is None or qube.feature(ROLE) is None and (
                found is None or "bundle" not in found.digests):
            self._step("bundle", "bundle-never-got" if qube else "bundle-of-nobody", changed=False)
            return
        _name, before, fresh = found.rotation if found else ("", "", [])
        # One that rotates may hold the passphrase that is in force, and the vault the former one;
        # of one that goes on with a repository the vault has the record by the former name.
        alone = client_keys.CONTINUE not in fresh and ("none" == marked["secrets"] == self._kept
            or "passphrase" in fresh and self._kept[:16] in ("none", before))
        if alone and marked["repository"] not in _GONE:
            raise refusal("bundle-alone", **self._words())
        qube.set_feature(ROLE, "1")
        with self._session.running(qube):
            reply = self._session.call(qube, "RemoveBundle", None, self.repository)
        qube.remove_feature(ROLE)
        self._step("bundle", "bundle-removed-settings-kept" if reply["settings"] == "kept"
                   else "bundle-removed")

    def _end(self, marked: dict[str, str]) -> None:
        if self._failed:
            raise refusal("revoked-in-part", **self._words())
        fate, made = marked["repository"], marked["fingerprint"] != "none"
        if self._qube and (self._record or self._qube.name in self._session.unread()):
            self._qube.remove_feature(record.WHOLE)
            self._qube.remove_feature(record.LACKING)
            self._step("record", "record-removed", self._qube.remove_feature(record.FEATURE))
        for copy in self._copies:
            self._say("copy-opens-nothing", copy=copy, feature=record.FEATURE)
        is_so = {
            "repository-deleted": fate == "deleted",
            "repository-missing": fate == "missing",
            "repository-frozen": fate == "frozen" and made,
            "repository-kept": fate == "kept" and made,
            "record-kept": self._kept != "none",
            "secrets-kept": marked["secrets"] == "kept",
            "revoked" if self._changed else "revoked-already": True,
        }
        for key in (key for key, so in is_so.items() if so):
            self._say(key)

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except errors.QvmBorgError as error:
            self._session.report.error(error)
            self._failed += 1

    def _words(self) -> dict[str, object]:
        """Answer what most of the texts name."""
        return {"repository": self.repository, "path": self.repository.path,
                "server": self.settings.server, "maintenance": self.maintenance,
                "vault": self._vault, "qube": self._qube}

    def _step(self, step: str, key: str, changed: bool = True, **fields: object) -> None:
        self._changed = self._changed or changed
        self._session.report.step(_STEPS, step, text(key, **self._words(), **fields))

    def _say(self, key: str, **fields: object) -> None:
        self._session.tell(key, **self._words(), **fields)
