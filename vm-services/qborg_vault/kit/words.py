"""The words of a kit: what it is, how to type it, and each command that opens the backups by hand.

Constants; the commands need ssh, borg and the tools of any Linux. A test runs them as they stand.
"""

WHAT = (
    "Whoever holds these pages can read every backup that is listed here: keep them where you keep "
    "your passport. They are enough to get all files back when the computer is gone. There is one "
    "page for the account, and one for each repository. Print them anew after each enrolment, and "
    "after a key or a passphrase was changed; then destroy the old ones, which may still open much."
)
HOW_TO_TYPE = (
    "Each row: a name, which row it is of how many, the value in groups of six, a check in "
    "brackets. Type rows as they stand; spaces do not count, upper and lower case do. By hand, the "
    "rows down to the last admin-key are enough."
)
LOCKED = (
    "The admin key has a passphrase of its own, which stands nowhere on these pages: ssh asks for "
    "it."
)
PARTS = "A code in several parts: put their texts together in their order, with nothing between."
STEPS_NOTE = (
    "It takes ssh, and borg 1.2 or 1.4. Type the commands into a terminal; after `cat > rows` the "
    "rows of the account, then Ctrl+D. A row that is named then has a typing error: begin again "
    "with `cat > rows`. Whoever scans the account's codes into the files admin-key and known_hosts "
    "instead leaves out all from `cat > rows` to the line that ends in `> known_hosts`."
)
QUBES = (
    "In a qube without network that has qubes-borg-vault, type the rows and numbered lines of all "
    "pages into one text file, in any order of the pages. The command says which line has a typing "
    "error, and makes the records of them that the vault had."
)
QUBES_STEPS = ("qborg-vault-import --kit FILE",)
AFTER = "After the first page's steps, in the same terminal."
ASKED = "borg asks for the passphrase: the rows above as one word."
ASKED_CODED = (
    "borg asks for the passphrase: the rows above as one word, in which %20 stands for a space and "
    "%25 for a %."
)
REFUSED = "If borg says that the key is missing, or refuses the passphrase"
IMPORT = (
    "This puts this page's key back. borg asks for the id, then for each line: type what stands "
    "after the colon."
)
IMPORT_FIRST = (
    "The server does not have it. borg asks for the id, then for each line: type what stands "
    "after the colon."
)

# Prints the name of each row whose check does not fit.
_CHECK = (
    "while read -r name number rest; do",
    "  value=$(printf %s \"${rest%[*}\" | tr -d ' ')",
    '  check=$(printf %s "$name $number $value" | sha256sum | cut -c 1-4)',
    '  [ "$check]" = "${rest##*[}" ] || echo "look at: $name $number"',
    "done < rows",
)


def steps(port: str) -> tuple[str, ...]:
    """Answer the commands that make the admin key and the server's key out of typed rows."""
    host = "$(one host)" if port == "22" else "[$(one host)]:$(one port)"
    return (
        "umask 077; mkdir kit; cd kit",
        "cat > rows",
        *_CHECK,
        "value() {",
        "  grep \"^ *$1 \" rows | sed 's/^ *[^ ]* *[^ ]* *//; s/ *\\[.*//; s/ //g'",
        "}",
        "one() { value \"$1\" | tr -d '\\n'; }",
        "echo '-----BEGIN OPENSSH PRIVATE KEY-----' > admin-key",
        "value admin-key >> admin-key",
        "echo '-----END OPENSSH PRIVATE KEY-----' >> admin-key",
        f'echo "{host} $(one host-key-type) $(one host-key)" > known_hosts',
        *rsh("admin-key"),
    )


def rsh(key: str) -> tuple[str, ...]:
    """Answer the commands that have borg use ssh with this key file and the known_hosts beside it.

    borg takes the value apart at white space, and a line's end in it would stand for the host.
    """
    return (
        f"export BORG_RSH='ssh -F none -i {key} -o IdentitiesOnly=yes'",
        'BORG_RSH="$BORG_RSH -o UserKnownHostsFile=known_hosts"',
        'BORG_RSH="$BORG_RSH -o StrictHostKeyChecking=yes"',
    )
