"""The words of a kit: what it is, how to type it, and each command that opens the backups by hand.

Constants; the commands need ssh, borg and the tools of any Linux. A test runs them as they stand.
"""

WHAT = (
    "Whoever holds these pages can read every backup that is listed here: keep them where you keep "
    "your passport. They are enough to get all files back when the computer is gone. Print them "
    "anew after a key or a passphrase was changed; older pages then open older archives only where "
    "the server still has them."
)
HOW_TO_TYPE = (
    "Each row: a name, which row it is of how many, the value in groups of six, a check in "
    "brackets. Type rows as they stand; spaces do not count, upper and lower case do."
)
STEPS_NOTE = (
    "It takes ssh, and borg 1.2 or 1.4. Whoever scans the two codes into the files admin-key and "
    "known_hosts leaves out all that has to do with the file rows."
)
USE = (
    "After the steps on the account's page. borg asks for the passphrase: the rows above as one "
    "word without the spaces."
)
IMPORT = (
    "Somebody has changed or removed the repository's key. This puts the one of this page back. "
    "borg asks for the id first, then for each line: type them without the number."
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
        "value() { grep \"^$1 \" rows | sed 's/^[^ ]* [^ ]* *//; s/ *\\[.*//; s/ //g'; }",
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
