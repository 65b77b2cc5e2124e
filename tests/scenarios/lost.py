"""What is lost, and what a person does then: a maintenance qube, a computer, a vault."""

from lab import Lab
from scenarios import bent, keepass, paper, person

KEEPER, VAULT = "borg-maintenance", "vault"
RECOVER = ("qvm-borg-recover", "--account")
STATE = "/home/user/.local/share/qubes-borg"
ACCOUNT = f"{STATE}/records/qubes-{KEEPER}"
_FORGETS = """
for qube, name in (("dom0", "x-qborg-maintenance"), ("dom0", "x-qborg-vault"),
                   ("vault", "service.qborg-vault")):
    if name in list(app.domains[qube].features):
        del app.domains[qube].features[name]
"""
_NO_KEY = """import re
text = open("config").read()
open("config", "w").write(re.sub(r"(?m)^key = .*(?:\\n[ \\t].*)*\\n", "", text))
"""


def loses_its_key(lab: Lab, repository: str) -> None:
    """Take the key out of a repository's own file, as a damaged disk may."""
    cut = f"cd {person.HOME}/repos/{repository} && python3 -c '{_NO_KEY}'"
    lab.server.exec(["sh", "-euc", cut], check=True)


def starts(lab: Lab, qube: str = VAULT) -> None:
    """Start a qube if it is halted."""
    if lab.qubes()[qube]["state"] == "Halted":
        lab.do("start", qube)


def removes(lab: Lab, qube: str = KEEPER) -> None:
    """Shut a qube down and remove it."""
    if lab.qubes()[qube]["state"] != "Halted":
        lab.do("shutdown", qube)
    bent.in_dom0(lab, f"del app.domains[{qube!r}]")


def is_a_new_computer(lab: Lab) -> None:
    """Have nothing of what dom0 knew, no maintenance qube and no client; the vault is a qube."""
    removes(lab)
    removes(lab, "work")
    _has_a_new_dom0(lab)


def comes_out_of_a_backup(lab: Lab) -> None:
    """Have all qubes on a new computer as Qubes' own backup restores them, without dom0's home."""
    for qube in (KEEPER, "work"):
        bent.restores_under_its_name(lab, qube)
    _has_a_new_dom0(lab)


def _has_a_new_dom0(lab: Lab) -> None:
    bent.in_dom0(lab, _FORGETS)
    lab.run(["rm", "-r", "/home/user/.config/qubes-borg"], check=True)


def types_the_kit(lab: Lab) -> None:
    """Have in the vault only what comes of a kit that is printed, and typed back there."""
    person.runs(lab, "qvm-borg-recover", "--print-kit", "--all")
    pages = paper.pages(paper.carried(lab))[1:]
    lines = [line for page in pages for block in page.typed.values() for line in block]
    lab.exec(VAULT, ["rm", "-r", f"{STATE}/records"], check=True)
    lab.exec(VAULT, ["dd", "of=typed.txt"], input="\n".join(lines).encode(), check=True)
    done = lab.exec(VAULT, ["qborg-vault-import", "--kit", "typed.txt"])
    assert b"account of qubes: taken\nqubes-work: taken\n" in done.stdout, done


def all_but_paper(lab: Lab) -> None:
    """Have a new computer, and nothing but a vault that was made again of a typed kit."""
    types_the_kit(lab)
    is_a_new_computer(lab)


def all_but_a_database(lab: Lab) -> None:
    """Have a new computer, and nothing but a vault that was made again of a KeePassXC database."""
    starts(lab)
    keepass.makes_a_database(lab)
    assert keepass.exports(lab).returncode == 0
    is_a_new_computer(lab)
    lab.exec(VAULT, ["rm", "-r", f"{STATE}/records"], check=True)
    assert keepass.imports(lab).returncode == 0


def loses_the_newest_record(lab: Lab) -> None:
    """Have an older record of the account as the vault's newest."""
    starts(lab)
    kept = lab.exec(VAULT, ["ls", ACCOUNT], check=True).stdout.decode().split()
    assert len(kept) > 1
    lab.exec(VAULT, ["rm", f"{ACCOUNT}/{kept[-1]}"], check=True)


def keys(lab: Lab) -> bytes:
    """Answer the server's list of keys."""
    return lab.server.exec(["cat", f"{person.HOME}/{person.KEYS}"], check=True).stdout
