"""The printed kit: made in the vault, and enough where nothing else is, typed as it stands."""

import re
from collections.abc import Callable, Sequence

import pytest

from lab import Lab
from scenarios import bent, lost, paper, person, state, thief
from scenarios.paper import FOLDER, READY, VAULT, Page, Terminal
from scenarios.thief import OWN, url

ELSEWHERE = "plain"  # has ssh and borg, and nothing of ours
NOTE, TEXT = "/home/user/note", b"what was in it\n"
PRINT = ("qvm-borg-recover", "--print-kit", "work")
RECORDS = "/home/user/.local/share/qubes-borg/records"
ASKS = "Enter passphrase for key [^ ]+: "


@pytest.fixture
def noted(escrowed: Lab) -> Lab:
    """work is backed up with a note in it."""
    escrowed.exec("work", ["dd", f"of={NOTE}"], input=TEXT, check=True)
    person.runs(escrowed, "qvm-borg-backup", "work")
    return escrowed


def _kit(lab: Lab) -> list[Page]:
    person.runs(lab, *PRINT)
    return paper.pages(paper.carried(lab))


def prepares(terminal: Terminal, first: Page, rows: list[str]) -> None:
    """Type the steps of the first page, the account's rows where they are asked for."""
    steps = first.typed["By hand, on any Linux machine"]
    before, after = steps[: steps.index("cat > rows")], steps[steps.index("cat > rows") + 1 :]
    terminal.types(before)
    terminal.writes_a_file("cat > rows", rows)
    terminal.types(after)


def imports_the_key(terminal: Terminal, block: Sequence[str]) -> None:
    """Type the command of a page that takes its key, and the key line by line."""
    command, *lines = block
    typed = [line.split(":", 1)[1].strip() for line in lines if ":" in line]
    terminal.types([command], "id:")
    for line in typed[:-1]:
        terminal.answers(line, r"[0-9]+: |id: ")
    terminal.answers(typed[-1])


def reads_back(terminal: Terminal, page: Page, archive: str) -> None:
    """Type what a repository's page says; the archive's name is read off borg's list."""
    *where, listing, extract = page.typed["Use it"]
    assert (listing, extract) == ("borg list", "borg extract ::ARCHIVE")
    terminal.types([*where, listing], ASKS)
    terminal.answers(page.value("passphrase"), f"{archive}[^$]*{READY}")
    terminal.types([extract.replace("ARCHIVE", archive)], ASKS)
    terminal.answers(page.value("passphrase"))


def _newest(lab: Lab) -> str:
    listed = lab.exec("work", ["borgbak", "list", "--short"], check=True).stdout.decode()
    return listed.split()[-1]


def test_by_the_paper_alone_a_file_comes_back(noted: Lab) -> None:
    first, account, work = _kit(noted)
    terminal = Terminal()
    prepares(terminal, first, account.rows)
    reads_back(terminal, work, _newest(noted))

    said = terminal.run(noted, ELSEWHERE)

    assert "look at" not in said
    assert noted.exec(ELSEWHERE, ["cat", f"/home/user/kit{NOTE}"], check=True).stdout == TEXT


@pytest.mark.parametrize("bent_key", ["passphrase-changed", "key-removed"])
def test_where_the_key_on_the_server_was_spoilt_the_paper_puts_it_back(
    noted: Lab, bent_key: str
) -> None:
    first, account, work = _kit(noted)
    newest = _newest(noted)
    _spoils(noted, bent_key)
    terminal = Terminal()
    prepares(terminal, first, account.rows)
    terminal.types(work.typed["Use it"][:-2])
    [repair] = [lines for name, lines in work.typed.items() if name.startswith("If borg says")]
    imports_the_key(terminal, repair)
    reads_back(terminal, work, newest)

    terminal.run(noted, ELSEWHERE)

    assert noted.exec(ELSEWHERE, ["cat", f"/home/user/kit{NOTE}"], check=True).stdout == TEXT


def _spoils(lab: Lab, how: str) -> None:
    if how == "passphrase-changed":
        changed = thief.borg(lab, "key", "change-passphrase", url(OWN),
                             env={"BORG_NEW_PASSPHRASE": "evil"})  # fmt: skip
        assert changed.returncode == 0, changed
        return
    config = f"{person.HOME}/repos/qubes-work/config"
    lab.server.exec(["sed", "-i", r"/^key/,$d", config], check=True)


def test_a_typing_error_is_named_by_the_steps_themselves(noted: Lab) -> None:
    first, account, _work = _kit(noted)
    rows = [row.replace("[", "[0", 1)[:-2] + "]" if row.startswith("admin-key 3/") else row
            for row in account.rows]  # fmt: skip
    terminal = Terminal()
    prepares(terminal, first, rows)

    named = re.findall(r"look at: (\S+ \S+)", terminal.run(noted, ELSEWHERE))

    assert [name.partition("/")[0] for name in named] == ["admin-key 3"]


def test_a_kit_of_all_has_every_record_and_dom0_learns_no_secret(noted: Lab) -> None:
    said = person.runs(noted, "qvm-borg-recover", "--print-kit", "--all")

    assert "repositories: 1; pages: 3" in said
    assert noted.qubes()[VAULT]["state"] == "Halted", "it is put back as it was found"
    work = paper.pages(paper.carried(noted))[2]
    passphrase = noted.exec("work", ["cat", ".ssh/backups/borgpass"], check=True).stdout.decode()
    assert work.value("passphrase") == passphrase.strip() and passphrase.strip() not in said
    modes = {path: about[0] for path, about in state.files(noted, VAULT, FOLDER).items()}
    assert modes.pop(FOLDER) == "drwx------" and len(modes) == 2
    assert set(modes.values()) == {"-rw-------"}


def test_it_needs_neither_the_maintenance_qube_nor_the_qube(noted: Lab) -> None:
    for name in ("work", "borg-maintenance"):
        if noted.qubes()[name]["state"] != "Halted":
            noted.do("shutdown", name)

    person.runs(noted, *PRINT)

    assert {noted.qubes()[name]["state"] for name in ("work", "borg-maintenance")} == {"Halted"}


def test_a_vault_that_was_lost_is_made_again_of_what_was_typed(noted: Lab) -> None:
    _first, account, work = _kit(noted)
    before = _described(noted)
    noted.exec(VAULT, ["rm", "-r", RECORDS], check=True)
    lines = [line for page in (work, account) for block in page.typed.values() for line in block]
    noted.exec(VAULT, ["dd", "of=typed.txt"], input="\n".join(lines).encode(), check=True)

    done = noted.exec(VAULT, ["qborg-vault-import", "--kit", "typed.txt"])

    assert b"account of qubes: taken\nqubes-work: taken\n" in done.stdout, done
    after = _described(noted)
    assert (after["key"], after["made"]) == (before["key"], before["made"])
    assert [page.title for page in _kit(noted)][1:] == ["The account", "Repository qubes-work"]
    assert paper.pages(paper.carried(noted))[2].value("passphrase") == work.value("passphrase")


def _described(lab: Lab) -> dict[str, str]:
    about = {"QREXEC_REMOTE_DOMAIN": "dom0", "QREXEC_SERVICE_ARGUMENT": "qubes-work"}
    reply = lab.exec(VAULT, ["/etc/qubes-rpc/qborg.DescribeRecord"], env=about, check=True,
                     input=b'{"nonce":"%s"}' % (b"0" * 32)).stdout.decode()  # fmt: skip
    return dict(line.split("=", 1) for line in reply.splitlines())


# What root does in the vault, and how the command then ends.
BENT: dict[str, tuple[str, int, str]] = {
    "no-qrencode": ("rm /usr/bin/qrencode", 22, "qrencode"),
    "record-lost": (f"rm -r {RECORDS}/qubes-work", 14, "no record of qubes-work"),
    "record-damaged": (f"echo >> {RECORDS}/qubes-work/000001.json", 25, "damaged"),
    "in-the-way": (f"echo mine > {FOLDER}", 25, "in the way"),
    "full": (f"mkdir {FOLDER}; mount -t tmpfs -o size=8k,mode=0700,uid=1000 none {FOLDER}", 5,
             "is full"),
}  # fmt: skip


@pytest.mark.parametrize(("does", "code", "says"), BENT.values(), ids=BENT)
def test_where_it_cannot_be_made_nothing_is_left_of_it(
    escrowed: Lab, does: str, code: int, says: str
) -> None:
    escrowed.do("start", VAULT)
    bent.root_does(escrowed, VAULT, does)
    before = state.files(escrowed, VAULT, "/home/user")

    person.is_refused(escrowed, *PRINT, code=code, says=says)

    assert state.files(escrowed, VAULT, "/home/user") == before


def test_a_damaged_record_is_named_and_the_others_are_printed(escrowed: Lab) -> None:
    person.runs(escrowed, "qvm-borg-enroll", "personal")
    lost.starts(escrowed)
    bent.root_does(escrowed, VAULT, f"echo >> {RECORDS}/qubes-work/000001.json")

    said = person.runs(escrowed, "qvm-borg-recover", "--print-kit", "--all", code=11)

    assert "of none an older one is in the kit, of qubes-work none" in said
    assert [page.title for page in paper.pages(paper.carried(escrowed))][2:] == [
        "Repository qubes-personal"]


WITHOUT: dict[str, tuple[Callable[[Lab], object], tuple[str, ...], int, str]] = {
    "no-vault": (lambda _lab: None, ("--all",), 14, "no vault"),
    "not-escrowed": (
        lambda lab: (person.runs(lab, "qvm-borg-enroll", "work", "--no-escrow"),
                     person.runs(lab, "qvm-borg-setup", "--vault", VAULT)),
        ("work",), 14, "is not in vault"),
}  # fmt: skip


@pytest.mark.parametrize(("does", "asked", "code", "says"), WITHOUT.values(), ids=WITHOUT)
def test_without_a_vault_or_a_record_in_it_there_is_no_kit(
    ready: Lab, does: Callable[[Lab], object], asked: tuple[str, ...], code: int, says: str
) -> None:
    does(ready)

    person.is_refused(ready, "qvm-borg-recover", "--print-kit", *asked, code=code, says=says)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("victim", ["kill-tool", f"kill-qube:{VAULT}"])
def test_after_a_kill_the_next_one_is_whole(escrowed: Lab, when: str, victim: str) -> None:
    escrowed.faults.clear()
    escrowed.faults.add(where="qrexec", match="qborg.PrintKit+", action=victim, when=when, n=0)
    escrowed.run(list(PRINT))
    assert any(entry["hit"] for entry in escrowed.trace())
    escrowed.faults.clear()

    assert [page.title for page in _kit(escrowed)][2] == "Repository qubes-work"
    kept = escrowed.exec(VAULT, ["ls", "-A", FOLDER], check=True).stdout.decode().split()
    assert sorted(name.rpartition(".")[2] for name in kept) == ["html", "txt"]
