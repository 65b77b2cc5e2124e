"""The vault's records: one file for each version, written once, never changed and never removed.

Runs in the vault. A keyholder adds to the records of a repository, nobody asks for one: what the
vault holds leaves it by dom0's order only.
"""

import contextlib
import fcntl
import os
import pwd
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind, RecordRefused, RecoveryRecord
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, sync_directory, write_private
from qborg_wire import names
from qborg_wire.names import NameRefused, Repository

VERSIONS = 1000  # of one repository; each rotation and each publication makes one
REPOSITORIES = 2000
_NAME = re.compile(r"([0-9]{6})\.json")
_KEEPER = "keeper"


@dataclass(frozen=True)
class Stored:
    """What the vault holds of one repository: the newest record and how many there are.

    `damaged`: a newer one is there that nobody can read; what this one opens may be another key's.
    """

    newest: RecoveryRecord
    versions: int
    damaged: bool = False


@dataclass(frozen=True)
class Vault:
    """The directory of all records, below it one for each repository; made when needed."""

    root: Path

    def add(self, untrusted_record: bytes, repository: Repository, caller: str) -> tuple[str, bool]:
        """Keep a record as the newest version; answer its digest and whether it is new.

        What has been kept before another one is not taken again.
        Raises ServiceFailure: record-refused, wrong-caller, vault-full.
        """
        try:
            record = recovery_record.parse(untrusted_record)
        except RecordRefused as error:
            raise ServiceFailure("record-refused", str(error)) from error
        if record.repository != repository:
            raise ServiceFailure("record-refused", "it is for another repository than the call")
        with self._locked():
            self._authorise(record, caller)
            kept, former, damaged = self._history(repository)
            if kept is not None and kept.digest == record.digest and not damaged:
                return record.digest, False
            # By what came first: the clocks of two keyholders differ, and are set.
            if record.digest in former:
                raise ServiceFailure("record-refused", "it is older than what is kept")
            self._append(repository, untrusted_record)
        return record.digest, True

    def newest(self, repository: Repository) -> Stored | None:
        """Answer what is held of a repository, None if nothing; the newest that can be read.

        Raises record-refused where none can.
        """
        folder = self.root / str(repository)
        numbers = self._numbers(folder)
        if not numbers:
            return None
        number, kept = next(self._versions(repository), (0, None))
        return Stored(
            kept or self._read(folder, numbers[-1]), len(numbers), number != numbers[-1])

    def required(self, repository: Repository) -> RecoveryRecord:
        """Answer the newest record that can be read; raises record-missing, record-refused."""
        stored = self.newest(repository)
        if stored is None:
            raise ServiceFailure("record-missing", f"the vault holds no record of {repository}")
        return stored.newest

    def copy(
        self, repository: Repository, digest: str, former: Repository
    ) -> tuple[RecoveryRecord, bool]:
        """Keep a version of a repository's record by the name that the repository has now, too.

        Answers what is kept by that name, and whether it is new: a record of another repository, or
        one as new, stays. It is the same bytes each time, so that a killed run finds it. Raises
        record-missing without such a version, record-refused for an account's and for another
        computer's name, vault-full.
        """
        with self._locked():
            found = self._version(repository, digest)
            if found.kind is Kind.ACCOUNT or former.machine != repository.machine:
                raise ServiceFailure("record-refused", f"it is not to be {former}'s")
            data = recovery_record.encode(found.kind, former, found.values)
            copied, stored = recovery_record.parse(data), self.newest(former)
            kept = stored and stored.newest
            if kept and kept.kind is Kind.ACCOUNT:
                raise ServiceFailure("record-refused", f"{former} is the account's own name")
            if kept and not (kept.made < copied.made and _is_of_same(kept, copied)):
                return kept, False
            self._append(former, data)
        return copied, True

    def account(self, machine: str) -> RecoveryRecord | None:
        """Answer the newest record of a computer's account, None if there is none.

        Raises record-refused for a damaged one.
        """
        keeper = self._keeper()
        stored = None if keeper is None else self.newest(Repository(machine, keeper))
        return stored.newest if stored and stored.newest.kind is Kind.ACCOUNT else None

    def machines(self) -> list[str]:
        """Answer the computers whose accounts are kept here."""
        return [each.machine for each in self.repositories() if each.qube == self._keeper()
                and self.account(each.machine) is not None]

    def repositories(self) -> list[Repository]:
        """Answer every repository that has a record here, the account's own name among them."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for name in sorted(os.listdir(self.root)):
                with contextlib.suppress(NameRefused):
                    found.append(names.parse_repository(name))
        return [each for each in found if self._numbers(self.root / str(each))]

    def take_back(self, records: Sequence[RecoveryRecord]) -> Iterator[str]:
        """Keep the records that a person brings back, less what is not newer; yield each digest.

        After a damaged one also the newest that can be read is taken once more. The qube of the
        account is the keeper from then on; where another one is, nothing is taken.
        Raises ServiceFailure: wrong-caller, record-refused, vault-full; what was yielded is kept.
        """
        with self._locked():
            for record in records:
                if record.kind is Kind.ACCOUNT:
                    self._authorise(record, record.repository.qube)
            for record in records:
                data = recovery_record.encode(record.kind, record.repository, record.values)
                kept, former, damaged = self._history(record.repository)
                if record.digest not in former and (
                    kept is None or kept.made < record.made + damaged
                ):
                    self._append(record.repository, data)
                    yield record.digest

    def superseded(self) -> frozenset[str]:
        """Answer the digests of all records that a later one has come after, whatever its time."""
        return frozenset().union(*(self._history(each)[1] for each in self.repositories()))

    def _authorise(self, record: RecoveryRecord, caller: str) -> None:
        """A qube adds for its own repository; for others only the one that holds the account.

        dom0's gate let just this call through, and this holds where the gate is wrong.
        """
        keeper = self._keeper()
        own = record.repository.qube == caller
        if record.kind is Kind.ACCOUNT:
            if not own or keeper not in (None, caller):
                raise ServiceFailure("wrong-caller", "another qube holds the account")
            if keeper is None:
                write_private(self.root / _KEEPER, f"{caller}\n".encode("ascii"))
        elif not own and caller != keeper:
            raise ServiceFailure("wrong-caller", f"{caller} does not speak for {record.repository}")

    def _keeper(self) -> str | None:
        try:
            return names.parse_qube(read_limited(self.root / _KEEPER, 32).decode("ascii").strip())
        except FileNotFoundError:
            return None
        except (FileRefused, ValueError) as error:
            raise ServiceFailure("record-refused", f"{_KEEPER} in the vault is damaged") from error

    def _read(self, folder: Path, number: int) -> RecoveryRecord:
        path = folder / f"{number:06}.json"
        try:
            return recovery_record.parse(read_limited(path, recovery_record.RECORD_LIMIT))
        except (FileRefused, RecordRefused) as error:
            raise ServiceFailure("record-refused", f"{path} in the vault is damaged") from error

    def _history(
        self, repository: Repository
    ) -> tuple[RecoveryRecord | None, frozenset[str], bool]:
        """Answer the newest readable record, digests of former ones, if a damaged one is newer."""
        numbers = self._numbers(self.root / str(repository))
        readable = list(self._versions(repository))
        if not readable:
            return None, frozenset(), bool(numbers)
        number, newest = readable[0]
        former = {each.digest for _number, each in readable} - {newest.digest}
        return newest, frozenset(former), number != numbers[-1]

    def _version(self, repository: Repository, digest: str) -> RecoveryRecord:
        for _number, found in self._versions(repository):
            if found.digest == digest:
                return found
        raise ServiceFailure("record-missing", f"no such record of {repository} can be read here")

    def _versions(self, repository: Repository) -> Iterator[tuple[int, RecoveryRecord]]:
        """Yield each record that can be read, with its number; the newest first."""
        folder = self.root / str(repository)
        for number in reversed(self._numbers(folder)):
            try:
                found = self._read(folder, number)
            except ServiceFailure:
                continue
            yield number, found

    def _append(self, repository: Repository, data: bytes) -> None:
        folder = self.root / str(repository)
        numbers = self._numbers(folder)
        if len(numbers) >= VERSIONS or not numbers and self._count() >= REPOSITORIES:
            raise ServiceFailure("vault-full", f"{repository}: no more versions are kept")
        self._write(folder, numbers[-1] + 1 if numbers else 1, data)

    def _write(self, folder: Path, number: int, data: bytes) -> None:
        """Write one version whole or not at all, and over none: the link fails where one is."""
        folder.mkdir(mode=0o700, exist_ok=True)
        beside = folder / ".new"
        write_private(beside, data)
        try:
            os.link(beside, folder / f"{number:06}.json")
        finally:
            beside.unlink()
        sync_directory(folder)
        sync_directory(self.root)

    def _count(self) -> int:
        return sum(1 for each in self.root.iterdir() if each.is_dir())

    @staticmethod
    def _numbers(folder: Path) -> list[int]:
        try:
            found = (_NAME.fullmatch(name) for name in os.listdir(folder))
        except FileNotFoundError:
            return []
        return sorted(int(match[1]) for match in found if match)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _is_of_same(one: RecoveryRecord, other: RecoveryRecord) -> bool:
    """Tell whether both open one repository: an export begins with borg's id of it."""
    ids = {each.values.get("key_export", "").partition("\n")[0] for each in (one, other)}
    return len(ids) == 1


def own_home() -> Path:
    """Answer the home of the user that the services run as; the environment is not asked."""
    return Path(pwd.getpwuid(os.getuid()).pw_dir)


def own_vault() -> Vault:
    """Answer the vault in that home."""
    return Vault(own_home() / ".local" / "share" / "qubes-borg" / "records")
