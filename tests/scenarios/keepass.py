"""What a person does with KeePassXC in the vault, and what they carry from there by hand."""

from subprocess import CompletedProcess

from lab import Lab

VAULT = "vault"
FILE = "/home/user/My Passwords.kdbx"
MASTER = "Ein schönes »Passwort«"
RECORDS = "/home/user/.local/share/qubes-borg/records"


def types(lab: Lab, *command: str, more: str = "", qube: str = VAULT) -> CompletedProcess[bytes]:
    """Run a command in the vault to which the master password is typed."""
    return lab.exec(qube, list(command), input=f"{MASTER}\n{more}".encode())


def cli(lab: Lab, *words: str, more: str = "") -> bytes:
    """Run keepassxc-cli in the vault; answer what it printed. It must succeed."""
    done = types(lab, "keepassxc-cli", words[0], "-q", *words[1:], more=more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def makes_a_database(lab: Lab, path: str = FILE) -> None:
    """Make a database with an entry and an attachment of its owner's."""
    cli(lab, "db-create", "-p", "-t", "100", path, more=f"{MASTER}\n")
    cli(lab, "mkdir", path, "Privat")
    cli(lab, "add", "-u", "anna", "-p", path, "Privat/Bank", more="geheim\n")
    cli(lab, "attachment-import", path, "Privat/Bank", "passport", "/usr/bin/env")


def exports(lab: Lab, *words: str) -> CompletedProcess[bytes]:
    """Run qborg-vault-export as a script does."""
    return types(lab, "qborg-vault-export", *(words or (FILE,)), "--password-fd", "0")


def imports(lab: Lab, *words: str) -> CompletedProcess[bytes]:
    """Run qborg-vault-import as a script does."""
    return types(lab, "qborg-vault-import", *(words or (FILE,)), "--password-fd", "0")


def field(lab: Lab, entry: str, name: str) -> str:
    """Answer one field of an entry, as a person would copy it."""
    return cli(lab, "show", "-s", "-a", name, FILE, entry).decode().removesuffix("\n")


def saves(lab: Lab, entry: str, name: str) -> bytes:
    """Answer an attachment, as a person would save it."""
    return cli(lab, "attachment-export", "--stdout", FILE, entry, name)
