"""A root to install packages into: an overlay on the lab's Debian tree, changed by real tools.

`Root` runs on the host in a test. Each of its calls starts this file once more, which enters the
lab's user namespace (so root is not needed), mounts the overlay and runs one program on it.
"""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 300


class Root:
    """What lies on top of the tree is kept from call to call, below the folder given."""

    def __init__(self, tree: Path, folder: Path) -> None:
        """Begin with nothing on top of the tree."""
        self.tree, self.folder = tree, folder

    def call(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a program as root, `@` and `@/…` in its words being below the root."""
        inside = [sys.executable, "-I", __file__, str(self.tree), str(self.folder), *command]
        path = "/usr/sbin:/usr/bin:/sbin:/bin"
        environment = {"PATH": path, "LC_ALL": "C.UTF-8", "HOME": "/root"}
        return subprocess.run(
            inside, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip

    def run(self, *command: str) -> str:
        """Run a program that must succeed; answer all it printed."""
        done = self.call(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout

    def files(self) -> set[str]:
        """Answer every file and link, and each folder of ours; less the tools' databases."""
        listed = self.run(
            "/usr/bin/find", "@", "-xdev", "(", "-path", "@/var/lib/rpm", "-o", "-path",
            "@/var/lib/dpkg", "-o", "-path", "@/var/log", "-o", "-path", "@/dev", ")", "-prune",
            "-o", "(", "-type", "f", "-o", "-type", "l", "-o", "-path", "*qubes-borg*", ")",
            "-printf", "%P\\n",
        )  # fmt: skip
        return set(listed.splitlines())

    def read(self, path: str) -> str:
        """Answer what a file of the root holds."""
        return self.run("/bin/cat", f"@/{path}")

    def write(self, path: str, content: str) -> None:
        """Put a file into the root."""
        script = 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"'
        self.run("/bin/sh", "-c", script, "sh", f"@/{path}", content)

    def remove(self) -> None:
        """Remove all of it; its files belong to ids of the namespace."""
        self.run("/bin/rm", "-rf", "--", str(self.folder / "upper"), str(self.folder / "work"))


def main(tree: str, folder: str, *command: str) -> None:
    """Be the new process: mount the overlay and become the command."""
    sys.path.insert(0, str(TESTS))
    from lab import ns

    ns.enter_user_namespace()
    ns.unshare(ns.CLONE_NEWNS)
    ns.make_mounts_private()
    places = {name: f"{folder}/{name}" for name in ("upper", "work", "root")}
    if command[0] != "/bin/rm":
        for place in places.values():
            os.makedirs(place, exist_ok=True)
        ns.overlay([tree], places["upper"], places["work"], places["root"])
        # Scripts of packages write to it; the tree has no devices.
        ns.mount("none", f"{places['root']}/dev", "tmpfs", ns.MS_NOSUID)
        Path(places["root"], "dev/null").touch()
        ns.bind("/dev/null", f"{places['root']}/dev/null")
    words = [word.replace("@/", f"{places['root']}/") for word in command]
    words = [places["root"] if word == "@" else word for word in words]
    os.execv(words[0], words)


if __name__ == "__main__":
    main(*sys.argv[1:])
