"""What borg gets of a command line that was typed at borgbak, and what TAB offers for it."""

import pytest

from qborg_borg import archives
from qborg_client import borg_line
from qborg_client.borg_commands import TABLE
from qborg_client.tools import completion

NEWEST = "work-2026-11-29T15:00:00"
LINES = {
    # short forms
    "archive": ("extract A home/user/test-file", "extract ::A home/user/test-file"),
    "stamped": (f"extract {NEWEST}", f"extract ::{NEWEST}"),
    "list": ("list A home", "list ::A home"),
    "info": ("info A", "info ::A"),
    "check": ("check A", "check ::A"),
    "diff": ("diff A B home", "diff ::A B home"),
    "delete": ("delete A B", "delete ::A B"),
    "rename": ("rename A B", "rename ::A B"),
    "export-tar": ("export-tar A -", "export-tar ::A -"),
    "import-tar": ("import-tar A a.tar", "import-tar ::A a.tar"),
    "create": ("create A /home list", "create ::A /home list"),
    "recreate": ("recreate A -e x", "recreate ::A -e x"),
    "mount-all": ("mount /mnt", "mount :: /mnt"),
    "mount-all-relative": ("mount -f mnt", "mount -f :: mnt"),
    "mount-one": ("mount A /mnt", "mount ::A /mnt"),
    "key-file": ("key export --paper key.txt", "key export --paper :: key.txt"),
    "key-path": ("key import /tmp/key", "key import :: /tmp/key"),
    "with-lock": ("with-lock rsync -a latest B", "with-lock :: rsync -a latest B"),
    "with-lock-path": ("with-lock /bin/ls -e", "with-lock :: /bin/ls -e"),
    "debug": ("debug get-obj ID file", "debug get-obj :: ID file"),
    # nothing to say
    "nothing-named": ("list", "list"),
    "prune": ("prune --keep-last 3", "prune --keep-last 3"),
    "key-to-stdout": ("key export", "key export"),
    "umount": ("umount mnt", "umount mnt"),
    "topic": ("help patterns", "help patterns"),
    "version": ("--version", "--version"),
    "unknown": ("frobnicate A", "frobnicate A"),
    "unknown-below": ("key frobnicate A", "key frobnicate A"),
    "unfinished": ("key", "key"),
    # written fully
    "full-archive": ("extract ::A latest", "extract ::A latest"),
    "full-repository": ("list ssh://host/./r::A", "list ssh://host/./r::A"),
    "full-url": ("list ssh://host/./r", "list ssh://host/./r"),
    "full-path": ("list /mnt/repository", "list /mnt/repository"),
    "full-mount": ("mount :: mnt", "mount :: mnt"),
    "full-key": ("key export :: key.txt", "key export :: key.txt"),
    "full-key-url": ("key export ssh://host/./r", "key export ssh://host/./r"),
    "full-key-both": ("key export repository key.txt", "key export repository key.txt"),
    "full-lock": ("with-lock :: ls", "with-lock :: ls"),
    # options and their values
    "value": ("list --last 5 A", "list --last 5 ::A"),
    "value-joined": ("list --last=5 A", "list --last=5 ::A"),
    "value-letter": ("extract -e x A y", "extract -e x ::A y"),
    "value-at-letter": ("extract -ex A y", "extract -ex ::A y"),
    "letters": ("extract -vpe x A", "extract -vpe x ::A"),
    "value-of-another": ("extract --list A", "extract --list ::A"),
    "shortened": ("list --glob x A", "list --glob x ::A"),
    "no-short-one": ("list --debug A", "list --debug ::A"),
    "no-short-one-here": ("diff --sort A B", "diff --sort ::A B"),
    "short-one-elsewhere": ("list --sort name A", "list --sort name ::A"),
    "value-dash": ("extract --patterns-from - A", "extract --patterns-from - ::A"),
    "before": ("-p --umask 77 list A", "-p --umask 77 list ::A"),
    "no-value-wanted": ("recreate --recompress -v A", "recreate --recompress -v ::A"),
    "only-words": ("list -- A -v", "list -- ::A -v"),
    "the-value-is-a-command": ("--rsh list info A", "--rsh list info ::A"),
    # the latest
    "latest": ("extract latest home", f"extract ::{NEWEST} home"),
    "latest-second": ("diff A latest latest", f"diff ::A {NEWEST} latest"),
    "latest-mounted": ("mount latest mnt", f"mount ::{NEWEST} mnt"),
    "latest-last": ("delete A B latest", f"delete ::A B {NEWEST}"),
}
OF_ITSELF = {
    "made": ("create latest /home", "create ::latest /home"),
    "mount-point": ("mount latest", "mount :: latest"),
    "renamed": ("rename A latest", "rename ::A latest"),
    "full": ("info ::latest", "info ::latest"),
    "path": ("extract A latest", "extract ::A latest"),
    "value": ("list -a latest A", "list -a latest ::A"),
}
WRITES = {
    "create": ("create A /home", True),
    "options-first": ("--progress --lock-wait 5 create A", True),
    "behind-a-value": ("--remote-path list create A /home", True),
    "behind-dashes": ("-- create A /home", True),
    "prune": ("-v prune --keep-daily 7", True),
    "lock": ("break-lock", True),
    "key": ("--remote-path=x key change-passphrase", True),
    "repair": ("check --repair", True),
    "repair-short": ("check --repa", True),
    "repair-of-archives": ("check --archives-only --repair --last 1", True),
    "check": ("check --verify-data --archives-only", False),
    "repair-elsewhere": ("list --repair", False),
    "list": ("list", False),
    "extract-a-file-named-create": ("extract A create", False),
    "nothing": ("", False),
    "version": ("--version", False),
}
TABS = {
    "archive": ("extract", ["archives"]),
    "second-archive": ("diff A", ["archives"]),
    "third": ("diff A B", ["files"]),
    "value": ("extract -e", ["files"]),
    "behind-a-value": ("extract -e x", ["archives"]),
    "file": ("extract A", ["files"]),
    "new-name": ("create", ["files"]),
    "unknown": ("frobnicate", ["files"]),
    "below": ("benchmark", ["crud"]),
}


WAITS = {
    "as-the-table-says": ("info latest", 600),
    "said": ("info --lock-wait 5 latest", 5),
    "said-first": ("--lock-wait 5 info latest", 5),
    "said-as-one-word": ("info --lock-wait=5 latest", 5),
    "shortened": ("info --loc 5 latest", 5),
    "not-at-all": ("info --lock-wait 0 latest", 0),
    "twice": ("--lock-wait 5 info --lock-wait 7 latest", 7),
    "another-option": ("--log-json info latest", 600),
    "no-number": ("info --lock-wait soon latest", 600),
    "endless": (f"info --lock-wait {'9' * 5000} latest", 600),
    "a-path": ("extract latest -- --lock-wait 5", 600),
    "without-its-value": ("info latest --lock-wait", 600),
}


def _spelled(typed: str) -> str:
    arguments = typed.split()
    line = borg_line.read(arguments)
    return " ".join(borg_line.spell_out(arguments, line, lambda: NEWEST))


@pytest.mark.parametrize(("typed", "gets"), LINES.values(), ids=LINES)
def test_borg_gets_the_repository_where_it_wants_it(typed: str, gets: str) -> None:
    assert _spelled(typed) == gets


@pytest.mark.parametrize(("typed", "gets"), OF_ITSELF.values(), ids=OF_ITSELF)
def test_a_word_is_only_the_latest_where_an_archive_is_wanted(typed: str, gets: str) -> None:
    arguments = typed.split()
    line = borg_line.read(arguments)

    assert _spelled(typed) == gets
    assert not borg_line.names_latest(arguments, line)


@pytest.mark.parametrize(("typed", "writing"), WRITES.values(), ids=WRITES)
def test_what_writes_is_known_by_its_command(typed: str, writing: bool) -> None:
    arguments = typed.split()

    assert borg_line.writes(arguments, borg_line.read(arguments)) is writing


@pytest.mark.parametrize(("typed", "seconds"), WAITS.values(), ids=WAITS)
def test_a_look_for_the_latest_waits_as_long_as_its_line(typed: str, seconds: int) -> None:
    assert borg_line.lock_wait(typed.split()) == seconds


@pytest.mark.parametrize(("typed", "offered"), TABS.values(), ids=TABS)
def test_a_tab_offers_what_may_come_next(typed: str, offered: list[str]) -> None:
    assert completion.following(typed.split()) == offered


def test_a_tab_behind_nothing_offers_every_command() -> None:
    offered = completion.following(["-v"])

    assert {name.split()[0] for name in TABLE["commands"]} == set(offered)
    assert len(offered) == len(set(offered))


def test_the_latest_is_the_word_of_the_other_commands() -> None:
    assert TABLE["latest"] == archives.LATEST
