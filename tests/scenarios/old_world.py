"""A qube that the old scripts have backed up: their key, their line, their files, an old archive.

The old line with its `cd` never worked, so the archive is made through that line less its `cd`.
"""

from lab import Lab
from scenarios import person

NAME, OLD, FILE = "vm-work", "/home/user/host-keys/vm-work", "/home/user/old file.txt"
PASSPHRASE = 'an "old" pass & phrase/$(x)'
KEEPER, CLIENT = "borg-maintenance", "work"
KEYS = f"{person.HOME}/{person.KEYS}"

_KEYS = """mkdir -p host-keys/vm-work && cd host-keys/vm-work
ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -C chave-backup-vm-work -f vm-work.openssh
printf %s "$1" > borgpass && printf %s vm-work > borgrepo && chmod 600 borgpass borgrepo
printf 'Host bakserver\n  HostName backup.example\n  User zh1234\n' > bakserver
echo '  IdentityFile ~/.ssh/backups/vm-work.openssh' >> bakserver
echo 'RANDOM_DELAY=20' > bak.crontab
echo '03 * * * * /usr/bin/borgmatic -c /home/user/.ssh/backups/borgmatic.cfg' >> bak.crontab
: > borgmatic.cfg && tar -c .
"""
_CLIENT = """mkdir -p -m 700 .ssh/backups && tar -x -C .ssh/backups
cp .ssh/backups/bakserver .ssh/config && crontab .ssh/backups/bak.crontab
ssh-keyscan -t ed25519 backup.example > .ssh/known_hosts 2>/dev/null
echo old > "$1" && export BORG_PASSPHRASE="$(cat .ssh/backups/borgpass)"
borg init --remote-path borg14 -e repokey bakserver:repos/vm-work
borg create --remote-path borg14 bakserver:repos/vm-work::old-archive "$1"
"""
_SERVER = """mkdir -p repos && printf '%s\n' "$1" >> .ssh/authorized_keys"""
_OPTIONS = "no-port-forwarding,no-X11-forwarding,no-pty,no-agent-forwarding,no-user-rc"


def at_server(lab: Lab, script: str, *words: str) -> None:
    """Run a shell script as the account, in its home."""
    argv = ["/usr/bin/env", "-C", person.HOME, "/bin/sh", "-euc", script, "-", *words]
    lab.server.exec(argv, user="zh1234", check=True)


def line(lab: Lab, *, borg: str = "borg1", enters: bool = True) -> str:
    """Answer the line that the old scripts wrote, with or without its `cd`."""
    key = lab.exec(KEEPER, ["cat", f"{OLD}/{NAME}.openssh.pub"], check=True).stdout.decode()
    cd = f"cd repos/{NAME};" * enters
    command = f"{cd}{borg} serve --append-only --restrict-to-path repos/{NAME}"
    return f'command="{command}",{_OPTIONS} {key.strip()}'


def keys(lab: Lab) -> str:
    """Answer the server's authorized_keys."""
    return lab.server.exec(["cat", KEYS], check=True).stdout.decode()


def is_made(lab: Lab) -> None:
    """Make all of it, from a lab that is set up."""
    made = lab.exec(KEEPER, ["/bin/sh", "-euc", _KEYS, "-", PASSPHRASE], check=True)
    works = line(lab, borg="borg14", enters=False)
    at_server(lab, _SERVER, works)
    lab.exec(CLIENT, ["/bin/sh", "-euc", _CLIENT, "-", FILE], input=made.stdout, check=True)
    lab.server.exec(["sed", "-i", "$d", KEYS], check=True)
    at_server(lab, _SERVER, line(lab))
