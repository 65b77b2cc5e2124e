"""What an account offers, asked of one that answers as real ones do, and as liars might."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qborg_maintenance import probe, provider, publish
from qborg_maintenance.files import KEYS, SftpFiles, ShellFiles
from qborg_maintenance.server import GREETING, Server
from qborg_service.failure import ServiceFailure
from qborg_service.process import Finished

ADMIN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIadmin"
DENIED = b"Permission denied"
DONE, REFUSED = Finished(0, b"", b""), Finished(126, b"", b"refused")


@dataclass(frozen=True)
class Account(Server):
    """An account as a table: the first words of a command, or of an sftp line, and its answer."""

    config: Path = Path("/nowhere/ssh_config")
    socket: Path | None = None
    access: str = provider.SHELL
    table: dict[str, Finished | ServiceFailure] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def run(self, *words: str, stdin: bytes | None = None) -> Finished:
        """Answer by the table; what it does not hold is refused."""
        return self._answer(" ".join(words))

    def transfer(self, *lines: str) -> Finished:
        """Answer by the table; what it does not hold is refused."""
        return self._answer(" ".join(lines))

    def _answer(self, line: str) -> Finished:
        self.asked.append(line)
        for start, answer in self.table.items():
            if line.startswith(start):
                if isinstance(answer, ServiceFailure):
                    raise answer
                return answer
        return REFUSED


def said(text: bytes) -> Finished:
    """Answer what a command that went well printed."""
    return Finished(0, text, b"")


@pytest.mark.parametrize(("table", "access"), [
    ({"cat": said(GREETING)}, "shell"),
    ({"cat": said(b"Welcome\n" + GREETING)}, "shell"),  # the living session says what is wrong
    ({"@pwd": DONE}, "sftp"),
    ({"cat": said(b"anything"), "@pwd": DONE}, "sftp"),
    ({"cat": Finished(255, b"", b"exec request failed on channel 0"), "@pwd": DONE}, "sftp"),
    ({"cat": said(b"")}, "borg"),
    ({"cat": REFUSED, "@pwd": ServiceFailure("server-unreachable", "closed")}, "borg"),
    ({"cat": ServiceFailure("login-refused", "no")}, None),
])  # fmt: skip
def test_the_access_is_what_really_answers(
    table: dict[str, Finished | ServiceFailure], access: str | None
) -> None:
    assert probe.access(Account(table=table)) == access


def test_a_server_that_is_away_is_no_poor_account() -> None:
    away = ServiceFailure("server-unreachable", "no connection")

    with pytest.raises(ServiceFailure, match="no connection"):
        probe.access(Account(table={"cat": away}))


def test_borg_is_found_by_the_best_name_of_the_provider() -> None:
    row = provider.of_host("u1.your-storagebox.de")
    account = Account(table={"borg-1.2 --version": said(b"borg-1.2 1.2.8\n"),
                             "borg14 --version": said(b"borg 1.4.0\n")})  # fmt: skip

    assert probe.borg(account, row, "probe") == ("borg-1.2", "1.2.8")
    assert account.asked == ["borg-1.4 --version", "borg-1.2 --version"]


def test_borg_is_known_by_serve_where_nothing_else_runs() -> None:
    told = said(b"Borg 1.2.4: Got connection close before repository was opened.\n")
    account = Account(access="borg", table={"borg12 serve": told})

    assert probe.borg(account, provider.GENERIC, "probe") == ("borg12", "1.2.4")


@pytest.mark.parametrize("words", [
    b"", b"Borg 2.0.0: Got connection close", b"Borg 1.1.17: Got connection close",
    b"x Borg 1.4.0: Got connection close", b"Borg 1.4.0", b"Borg 1." + b"4" * 99 + b": Got",
])
def test_another_answer_to_serve_is_no_borg(words: bytes) -> None:
    account = Account(access="borg", table={"borg12 serve": said(words)})

    with pytest.raises(ServiceFailure) as caught:
        probe.borg(account, provider.GENERIC, "probe")
    assert caught.value.cause == "borg-missing"


def test_a_renamed_borg_is_found_and_not_taken() -> None:
    account = Account(table={"borg12 --version": said(b"borg 1.2.8\n")})

    with pytest.raises(ServiceFailure) as caught:
        probe.borg(account, provider.GENERIC, "borg14")
    assert caught.value.cause == "borg-renamed"
    assert caught.value.detail == "borg12 1.2.8 is there, and no borg14"


def test_no_borg_at_all_is_missing_under_its_name() -> None:
    with pytest.raises(ServiceFailure, match="as borg14") as caught:
        probe.borg(Account(), provider.GENERIC, "borg14")
    assert caught.value.cause == "borg-missing"


CLOSED = {"shell": ("dd", "rm", "mkdir", "ls"), "sftp": ("@put", "@rm", "@mkdir", "@ls")}


@pytest.mark.parametrize("access", CLOSED)
def test_an_account_without_a_place_to_write_to_is_told_as_such(
    access: str, tmp_path: Path
) -> None:
    account = Account(config=tmp_path / "ssh_config", access=access, table={
        start: Finished(1, b"", DENIED) for start in CLOSED[access]})

    for does in (lambda: publish.make_root(account),
                 lambda: probe.check_writable(account, "0" * 32)):
        with pytest.raises(ServiceFailure) as caught:
            does()
        assert caught.value.cause == "account-unwritable" and "repos" in caught.value.detail


LISTED = {"cat .ssh/": said(f"{ADMIN} admin\n".encode()), "dd": DONE, "rm": DONE}
SFTP_LISTED = {"@get": DONE, "@put": DONE, "@rm": DONE}


@pytest.mark.parametrize(("table", "keys"), [
    ({**LISTED, "mv": DONE}, "ours"),
    ({**LISTED, "mv": Finished(1, b"", b"mv: cannot move: " + DENIED)}, "awaited"),
    ({**LISTED, "mv": Finished(1, b"", b"mv: Read-only file system")}, "awaited"),
    ({"cat .ssh/": said(b"ssh-ed25519 AAAAother x\n")}, "awaited"),
    ({"cat .ssh/": REFUSED}, "awaited"),
])
def test_the_key_list_is_ours_if_it_lets_us_in_and_can_be_replaced(
    table: dict[str, Finished | ServiceFailure], keys: str
) -> None:
    account = Account(table=table)

    assert probe.key_list(account, ADMIN, "0" * 32) == keys
    assert not [line for line in account.asked if line.startswith(f"mv {KEYS}")]


@pytest.mark.parametrize(("stderr", "cause"), [
    (b"No space left on device", "server-full"), (b"what?", "publish-refused"),
])
def test_an_unclear_answer_about_the_key_list_is_no_decision(stderr: bytes, cause: str) -> None:
    account = Account(table={**LISTED, "mv": Finished(1, b"", stderr)})

    with pytest.raises(ServiceFailure) as caught:
        probe.key_list(account, ADMIN, "0" * 32)
    assert caught.value.cause == cause


@pytest.mark.parametrize(("host", "table", "snapshots"), [
    ("zh1.rsync.net", {"ls .zfs/snapshot": DONE}, "yes"), ("zh1.rsync.net", {}, "no"),
    ("backup.example", {"ls": DONE}, "unknown"),
])
def test_snapshots_are_known_where_they_can_be_seen(
    host: str, table: dict[str, Finished | ServiceFailure], snapshots: str
) -> None:
    assert probe.snapshots(Account(table=table), provider.of_host(host)) == snapshots


def test_both_ways_to_the_files_list_the_same_names() -> None:
    shell = ShellFiles(Account(table={"ls repos": said(b"a\nqubes-b\n")}))
    sftp = SftpFiles(Account(table={"@ls -1 repos": said(b"repos/a\nrepos/qubes-b\n")}))

    assert shell.names("repos") == sftp.names("repos") == {b"a", b"qubes-b"}
    assert shell.names("none") is sftp.names("none") is None


def test_a_full_disk_is_known_over_sftp_too(tmp_path: Path) -> None:
    space = b"        Size         Used        Avail       (root)    %Capacity\n"
    failed = Finished(1, b"", b"write remote \"/x\": Failure")
    for free, cause in ((b"0", "server-full"), (b"512", "publish-refused")):
        table = {"@put": failed, "@df": said(space + b"  65536   65536   " + free + b"   0   100%")}
        files = SftpFiles(Account(config=tmp_path / "ssh_config", table=table))
        with pytest.raises(ServiceFailure) as caught:
            files.write("x", b"data")
        assert caught.value.cause == cause
