"""The backup server: a real sshd and a real borg behind the account's restricted shell.

Runs in the supervisor and works in the machine `server` as its root. It knows the world's server
table, nothing of the qubes that call it.
"""

from __future__ import annotations

from pathlib import Path

from .errors import MachineError
from .machines import Boot, Machines
from .world import Server

NAME = "server"
MAC = "00:16:3e:5e:6c:fe"
_UNLIMITED_MB = 8192

_SET_UP = """set -eu
mkdir -p /rw/ssh /run/sshd /etc/lab/borg
[ -e /rw/ssh/ssh_host_ed25519_key ] ||
  ssh-keygen -q -t ed25519 -N '' -C '' -f /rw/ssh/ssh_host_ed25519_key
home=/home/$1
if [ ! -e "$home/.ssh" ]; then
  find "$home" -mindepth 1 -delete
  mkdir -m 0700 "$home/.ssh"
  : > "$home/.ssh/authorized_keys"
  chmod 0600 "$home/.ssh/authorized_keys"
  chown -R "$1:$1" "$home"
fi
if [ "$2" = root ]; then
  chown -R root:root "$home/.ssh"
  chmod 0755 "$home/.ssh"
  chmod 0644 "$home/.ssh/authorized_keys"
fi
"""
_OFFER = """set -eu
find /etc/lab/borg -mindepth 1 -delete
for name in "$@"; do ln -s /usr/bin/borg "/etc/lab/borg/$name"; done
"""
# The home is in memory if it is another device than the volume, which may be a tmpfs as well.
_IN_MEMORY = '[ "$(stat -c %d /home)" != "$(stat -c %d /rw/home)" ]'
_LIMIT = f"""set -eu
if {_IN_MEMORY}; then
  mount -o "remount,size=$1k" /home
else
  mount -t tmpfs -o "size=$1k,mode=0755" tmpfs /home
  cp -a /rw/home/. /home/
fi
"""
# The daemon keeps its stderr, and with it whoever waits for the end of the output. It leaves the
# terminal before it listens, and writes its number when it does.
_START = """set -eu
rm -f /run/sshd.pid
/usr/sbin/sshd -E /rw/ssh/sshd.log >/dev/null 2>&1
for _ in $(seq 3000); do [ -s /run/sshd.pid ] && exit; sleep 0.01; done
exit 1
"""
_USED = "df --output=used -k /home | tail -n 1"
_SYNC = f"""set -eu
{_IN_MEMORY} || exit 0
find /rw/home -mindepth 1 -delete
cp -a /home/. /rw/home/
"""


class BackupServer:
    """The server of one lab. Methods raise MachineError."""

    def __init__(self, machines: Machines, world: Server) -> None:
        self._machines = machines
        self._world = world
        self.offered = world.borg
        self.sshd_wanted = True

    def start(self) -> None:
        """Boot the machine and bring up the account, its borg names and sshd."""
        boot = Boot(persistence="rw-only", mac=MAC, ip=self._world.address)
        self._machines.boot(NAME, boot, uplink=True)
        self._sh(_SET_UP, self._world.user, self._world.keys)
        self.offer(self.offered)
        if self._world.password is not None:
            line = f"{self._world.user}:{self._world.password}\n"
            self._machines.run(NAME, ["/usr/sbin/chpasswd"], line.encode())
        if self._world.quota_mb is not None:
            self._limit(self._world.quota_mb * 1024)
        if self.sshd_wanted:
            self.start_sshd()

    def start_sshd(self) -> None:
        """Start the listening sshd; it is there when this returns."""
        self._sh(_START)
        self.sshd_wanted = True

    def stop_sshd(self) -> None:
        """End the listening sshd; sessions live on, new connections are refused."""
        self._sh('kill "$(cat /run/sshd.pid)"; while [ -e /run/sshd.pid ]; do sleep 0.01; done')
        self.sshd_wanted = False

    def kill_sshd(self) -> None:
        """Kill sshd and every session, as the crash of a host would; `start_sshd` mends it."""
        self._sh("pkill -KILL -x sshd || true")
        self.drop_sessions()

    def drop_sessions(self) -> None:
        """Kill every running session of the account, as a crash on the way would."""
        self._sh('pkill -KILL -u "$1" || true; pkill -KILL sshd-session || true', self._world.user)

    def offer(self, names: tuple[str, ...]) -> None:
        """Offer borg under NAMES and under no other name."""
        self._sh(_OFFER, *names)
        self.offered = names

    def fill(self) -> None:
        """Leave no free space in the account's home."""
        self._limit(_UNLIMITED_MB * 1024)
        used = int(self._machines.run(NAME, ["/bin/sh", "-c", _USED]).strip())
        self._limit(max(used, 4))

    def unfill(self) -> None:
        """Give the account its space back."""
        self._limit((self._world.quota_mb or _UNLIMITED_MB) * 1024)

    def sync(self) -> None:
        """Write a size-limited home back to the private volume, where snapshots look."""
        if self._machines.alive(NAME):
            self._sh(_SYNC)

    def host_key(self, private: Path) -> str:
        """Return the public host key, `ssh-ed25519 AAAA…`, from the server's PRIVATE volume."""
        try:
            text = (private / "ssh/ssh_host_ed25519_key.pub").read_text(encoding="ascii")
        except OSError as error:
            raise MachineError("the server has no host key yet") from error
        return " ".join(text.split()[:2])

    def _limit(self, kilobytes: int) -> None:
        """Put the account's home on a memory file system of that size."""
        self._sh(_LIMIT, str(kilobytes))

    def _sh(self, script: str, *arguments: str) -> None:
        """Run a script as the server's root."""
        self._machines.run(NAME, ["/bin/sh", "-c", script, "lab", *arguments])
