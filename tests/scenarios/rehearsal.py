"""A publication by the real service, which can be stopped at any of its commands at the server."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab import Lab
from lab.running import RunningProcess
from scenarios import attacker
from scenarios.person import HOME, KEYS

MAINTENANCE = "borg-maintenance"
NONCE = "00112233445566778899aabbccddeeff"
OTHER = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKv8PkzJ7pmGNAnMPrCwTEu5qVdKmMgWz9pqGf8T2m3x"
BLOCK = re.compile(
    rb"# BEGIN qubes-borg (\S+) [0-9a-f]{32} .*?\n# END qubes-borg \1 [^\n]*\n", re.DOTALL)
_HELD = "/home/user/.local/share/qubes-borg/ssh_config"
LOCK = f"{HOME}/.ssh/qborg-lock"
# What a swap of authorized_keys runs in the account until its lock is gone, in this order.
SWAP_COMMANDS = (
    "rm -f .ssh/authorized_keys.qborg-new",
    "dd of=.ssh/authorized_keys.qborg-new",
    "cat .ssh/authorized_keys.qborg-new",
    "chmod 600 .ssh/authorized_keys.qborg-new",
    "rm -f .ssh/authorized_keys.qborg-bak",
    "cp -l .ssh/authorized_keys .ssh/authorized_keys.qborg-bak",
    "ls .ssh/qborg-lock",
    "cat .ssh/authorized_keys.qborg-bak",
    "cat .ssh/authorized_keys",
    "mv .ssh/authorized_keys.qborg-new .ssh/authorized_keys",
    "cat .ssh/authorized_keys",
    "cat .ssh/authorized_keys.qborg-bak",
    "rm -d .ssh/qborg-lock/ENTRY",
    "rm -d .ssh/qborg-lock",
)
_SERVICE = "^/usr/bin/python3.*qborg.PublishKeys"


def read(lab: Lab) -> bytes:
    """Answer the server's authorized_keys."""
    return lab.server.exec(["cat", f"{HOME}/{KEYS}"], check=True).stdout


def write(lab: Lab, content: bytes, name: str = KEYS) -> None:
    """Write authorized_keys in place, as an editor of the account's owner does."""
    script = f"cat > {HOME}/{name}"
    lab.server.exec(["/bin/sh", "-c", script], user="zh1234", input=content, check=True)


def starts(
    lab: Lab, service: str = "PublishKeys+", qube: str = MAINTENANCE, **values: object
) -> RunningProcess:
    """Begin a call from dom0; it is answered when the process ends."""
    argv = ["/usr/lib/qubes/qrexec-client", "-d", qube, f"DEFAULT:QUBESRPC qborg.{service} dom0"]
    call = lab.popen("dom0", argv)
    request = {"nonce": NONCE, **values}
    if service == "PublishKeys+":
        request.setdefault("repositories", [])
    call.stdin.write(json.dumps(request).encode())
    call.stdin.close()
    return call


def ends(call: RunningProcess, seconds: float = 200) -> str:
    """Wait for the end of a call and answer its reply."""
    reply, _noise = call.communicate(None, seconds)
    call.close()
    return reply.decode()


def publishes(lab: Lab, qube: str = MAINTENANCE) -> str:
    """Publish undisturbed; answer the reply, which must be a success."""
    reply = ends(starts(lab, qube=qube))
    assert "outcome=ok\n" in reply, reply
    return reply


@contextmanager
def held(
    lab: Lab, number: int, when: str = "before", begins: Callable[[Lab], RunningProcess] = starts
) -> Iterator[RunningProcess]:
    """Begin a publication, or what `begins` begins, and stand still at one of its commands.

    At the end all goes on.
    """
    lab.server.account.watch()
    lab.server.account.hold(number, when)
    call = begins(lab)
    try:
        lab.server.account.until_held()
        yield call
    finally:
        lab.server.account.unwatch()


def admin_logs_in(lab: Lab) -> None:
    """Log in by the admin key as a person at the maintenance qube's terminal does."""
    argv = ["ssh", "-F", _HELD, "-o", "BatchMode=yes", "bakadmin", "ls", "-d", ".ssh"]
    done = lab.exec(MAINTENANCE, argv, timeout=60)
    assert done.stdout == b".ssh\n", done.stderr


def kill_service(lab: Lab) -> None:
    """Kill the service's own process, not its guard, which is younger."""
    lab.exec(MAINTENANCE, ["pkill", "-KILL", "-o", "-f", _SERVICE], user="root", check=True)


def settles(lab: Lab, seconds: float = 90) -> None:
    """Wait until neither a service nor a guard of ours is left in the maintenance qube."""
    deadline = time.monotonic() + seconds
    while lab.exec(MAINTENANCE, ["pgrep", "-f", _SERVICE], user="root").returncode == 0:
        assert time.monotonic() < deadline, "something still publishes"
        time.sleep(0.05)


def commands(lab: Lab) -> list[str]:
    """Answer what was run in the account since it is watched; an entry of the lock is ENTRY."""
    seen = lab.server.account.commands()
    return [re.sub(r"[0-9]{10}-[0-9a-f]{32}", "ENTRY", line) for line in seen]


def left_at_the_server(lab: Lab) -> set[str]:
    """Answer the names in the account's .ssh."""
    listed = lab.server.exec(["ls", "-A", f"{HOME}/.ssh"], check=True)
    return set(listed.stdout.decode().split())


def makes_keys(lab: Lab, repository: str = "qubes-work") -> None:
    """Have the maintenance qube make a client's keys, so that there is something to publish."""
    reply = ends(starts(lab, f"MakeKeys+{repository}", quota="keep", directory="none"))
    assert "outcome=ok\n" in reply, reply


def add_line(lab: Lab, line: bytes) -> None:
    """Add a line to authorized_keys in place, as `cat >>` does."""
    attacker.writes(lab, "/tmp/line", line, "server", "root")
    script = f"cat /tmp/line >> {HOME}/{KEYS}"
    lab.server.exec(["/bin/sh", "-c", script], check=True)


def resets(lab: Lab, content: bytes) -> None:
    """Undo what a rehearsal did to the world, and write the file as if never published."""
    lab.server.account.unwatch()
    if not lab.status()["server"]["sshd"]:
        lab.server.start_sshd()
    if lab.qubes()[MAINTENANCE]["state"] != "Running":
        lab.do("start", MAINTENANCE)
    settles(lab)
    script = f"chmod 755 {HOME} && cd {HOME}/.ssh && rm -rf *qborg* && chmod 600 authorized_keys"
    lab.server.exec(["/bin/sh", "-euc", script], check=True)
    write(lab, content)


def prepared(lab: Lab) -> bytes:
    """Publish once from a lab that is set up; answer what the file holds beside our block."""
    makes_keys(lab)
    former = read(lab) + b"# mine\r\n%s laptop\n" % OTHER
    write(lab, former)
    publishes(lab)
    return former


def locks(lab: Lab, seconds_ago: int) -> str:
    """Let a third computer hold the lock, or have left it behind."""
    entry = f"{LOCK}/{int(time.time()) - seconds_ago}-{'a' * 32}"
    lab.server.exec(["mkdir", "-p", entry], user="zh1234", check=True)
    return entry
