"""The printed kit: made in the vault alone, and enough with ssh and borg on any machine."""

import re

from lab import Lab
from scenarios import person, state

VAULT, STRANGER = "vault", "plain"  # the second one has ssh and borg, and nothing of ours
PRINT = ("qvm-borg-recover", "--print-kit")
NOTE = "/home/user/note"


def _kit(lab: Lab, end: str = "txt") -> str:
    if lab.qubes()[VAULT]["state"] == "Halted":
        lab.do("start", VAULT)
    shown = lab.exec(VAULT, ["sh", "-c", f"cat qubes-borg-kit/kit-*.{end}"], check=True)
    return shown.stdout.decode()


def _typed(kit: str, heading: str) -> list[str]:
    """Answer the lines that a person types off the block under a heading."""
    _before, _heading, after = kit.partition(f"\n{heading}\n-")
    block = re.split(r"\n\S[^\n]*\n(?:-|=)+\n", after.partition("\n")[2])[0]
    return [line.strip() for line in block.splitlines() if line.startswith("    ")]


def _passphrase(rows: list[str]) -> str:
    return "".join(row.rpartition("[")[0].partition("/")[2].partition(" ")[2].replace(" ", "")
                   for row in rows if row.startswith("passphrase "))  # fmt: skip


def test_the_kit_is_made_in_the_vault_and_nothing_of_it_is_in_dom0(escrowed: Lab) -> None:
    said = person.runs(escrowed, *PRINT, "--all")

    assert "the kit of 1 repositories is in vault" in said
    assert escrowed.qubes()[VAULT]["state"] == "Halted"
    kit = _kit(escrowed)
    passphrase = escrowed.exec("work", ["cat", ".ssh/backups/borgpass"], check=True).stdout
    assert passphrase.decode().strip() == _passphrase(_typed(kit, "Its passphrase and place"))
    assert _kit(escrowed, "html").count("<svg") == 4
    assert passphrase.decode().strip()[:6] not in said
    modes = escrowed.exec(VAULT, ["sh", "-c", "stat -c %a qubes-borg-kit qubes-borg-kit/*"])
    assert modes.stdout.split() == [b"700", b"600", b"600"]


def test_by_the_paper_alone_a_file_comes_back(escrowed: Lab) -> None:
    escrowed.exec("work", ["dd", f"of={NOTE}"], input=b"what was in it\n", check=True)
    person.runs(escrowed, "qvm-borg-backup", "work")
    person.runs(escrowed, *PRINT, "work")
    kit = _kit(escrowed)
    rows = [line for heading in ("The account", "Its passphrase and place")
            for line in _typed(kit, heading)]  # fmt: skip
    steps = _typed(kit, "Open the backups on any Linux machine")
    use = _typed(kit, "Use it")
    assert use[-1] == "borg extract ::ARCHIVE" and "cat > rows" in steps

    # `cat > rows` reads what is typed; borg asks for the passphrase, and nobody is there.
    script = "\n".join((*steps, f"export BORG_PASSPHRASE='{_passphrase(rows)}'", *use[:-1],
                        "ARCHIVE=$(borg list --short --last 1)", "borg extract ::$ARCHIVE"))
    done = escrowed.exec(STRANGER, ["/bin/sh", "-euc", script],
                         input="\n".join((*rows, "")).encode())  # fmt: skip

    assert done.returncode == 0, done.stderr.decode()
    assert b"look at" not in done.stdout, "a row was typed wrong"
    back = escrowed.exec(STRANGER, ["cat", f"/home/user/kit{NOTE}"], check=True)
    assert back.stdout == b"what was in it\n"


def test_a_typing_error_is_named_by_the_printed_steps(escrowed: Lab) -> None:
    person.runs(escrowed, *PRINT, "work")
    kit = _kit(escrowed)
    rows = _typed(kit, "The account")
    bent = [row.replace("backup.example", "backup.exanple") for row in rows]
    assert bent != rows
    steps = _typed(kit, "Open the backups on any Linux machine")

    done = escrowed.exec(STRANGER, ["/bin/sh", "-euc", "\n".join(steps)],
                         input="\n".join((*bent, "")).encode())  # fmt: skip

    assert done.stdout.decode().splitlines() == ["look at: host 1/1"]


def test_what_the_vault_has_damaged_is_told_and_nothing_is_printed(escrowed: Lab) -> None:
    escrowed.do("start", VAULT)
    spoil = "echo >> ~/.local/share/qubes-borg/records/qubes-work/000001.json"
    escrowed.exec(VAULT, ["sh", "-c", spoil], check=True)

    person.is_refused(escrowed, *PRINT, "--all", code=25, says="damaged")

    assert escrowed.exec(VAULT, ["test", "-e", "qubes-borg-kit"]).returncode == 1
    assert state.gates(escrowed) == []
