"""Ways in which a person, a network or a server may have bent the world before a command runs."""

from lab import Lab
from scenarios.person import HOME, KEYS

_IMPOSTOR_LOG = "/run/impostor.log"
_IMPOSTOR = f"""set -eu
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f /run/impostor
/usr/sbin/sshd -f /dev/null -h /run/impostor -o ListenAddress=127.0.0.1 \\
    -o LogLevel=DEBUG -E {_IMPOSTOR_LOG}
sed 's/^[0-9.]* backup.example$/127.0.0.1 backup.example/' /etc/hosts > /run/hosts
"""
_LEADS_THERE = "cat /run/hosts > /etc/hosts"
# ssh does what it did, but a login with a password is led to another place.
_LEADS_THERE_LATER = f"""chmod 666 /etc/hosts
mv /usr/bin/ssh /usr/bin/ssh.genuine
cat > /usr/bin/ssh <<'END'
#!/bin/sh
case "$*" in *PreferredAuthentications=password*) {_LEADS_THERE} ;; esac
exec /usr/bin/ssh.genuine "$@"
END
chmod 755 /usr/bin/ssh
"""
_NEW_KEY = """set -eu
rm /rw/ssh/ssh_host_ed25519_key /rw/ssh/ssh_host_ed25519_key.pub
ssh-keygen -q -t ed25519 -N '' -C '' -f /rw/ssh/ssh_host_ed25519_key
"""
NOBODY = "00000000-0000-4000-8000-000000000000"  # no qube's uuid
SALT_ASKED = "/var/tmp/asked"  # the words that qubesctl was started with, one in a line
_KEPT = "/home/user/.local/share/qubes-borg"


def root_does(lab: Lab, qube: str, script: str) -> None:
    """Run a shell script as root in a qube; a root volume forgets it at the next start."""
    lab.exec(qube, ["/bin/sh", "-euc", script], user="root", check=True)


def in_dom0(lab: Lab, python: str) -> str:
    """Do something with qubesadmin, as `app`, in dom0; answers what it prints."""
    program = f"import qubesadmin\napp = qubesadmin.Qubes()\n{python}\n"
    return lab.run(["python3", "-c", program], check=True).stdout.decode()


def replaces(lab: Lab, qube: str, program: str, says: str) -> None:
    """Put a program that only prints one line in the place of another."""
    text = f"#!/bin/sh\necho '{says}'\n"
    lab.exec(qube, ["dd", f"of={program}"], user="root", input=text.encode(), check=True)
    root_does(lab, qube, f"truncate -s {len(text)} {program}")


def salt_ends(lab: Lab, code: int) -> None:
    """Let dom0 have a qubesctl that does nothing but end with CODE; it is replaced with sudo."""
    script = f'#!/bin/sh\nprintf "%s\\n" "$@" > {SALT_ASKED}\nexit {code}\n'
    lab.exec("dom0", ["/usr/bin/install", "-m", "755", "/dev/stdin", "/usr/bin/sudo"],
             user="root", input=script.encode(), check=True)  # fmt: skip
    root_does(lab, "dom0", "touch /usr/bin/qubesctl")


def salt_was_asked(lab: Lab) -> str:
    """Answer the words that qubesctl was started with, one in a line."""
    return lab.exec("dom0", ["cat", SALT_ASKED], check=True).stdout.decode()


def changes_the_host_key(lab: Lab) -> None:
    """Let the server come back with a host key that nobody has confirmed."""
    lab.server.stop_sshd()
    lab.server.exec(["/bin/sh", "-c", _NEW_KEY], check=True)
    lab.server.start_sshd()


def listens_in(lab: Lab, qube: str) -> None:
    """Lead one qube, and no other, to a server with the same name and another host key."""
    root_does(lab, qube, _IMPOSTOR + _LEADS_THERE)


def listens_in_on_the_password(lab: Lab, qube: str) -> None:
    """Lead one qube to such a server too, but only when it logs in with a password."""
    root_does(lab, qube, _IMPOSTOR + _LEADS_THERE_LATER)


def heard(lab: Lab, qube: str) -> str:
    """Answer all that the server with another host key has logged there."""
    return lab.exec(qube, ["cat", _IMPOSTOR_LOG], user="root", check=True).stdout.decode()


def drops_the_admin_key(lab: Lab) -> None:
    """Remove the admin's line from the account's authorized_keys."""
    lab.server.exec(["sed", "-i", "/qubes-borg-admin/d", f"{HOME}/{KEYS}"], check=True)


def takes_the_key_list(lab: Lab) -> None:
    """Make the account's list of keys root's, as a provider does that has a web page for it."""
    script = f"chown -R root:root {HOME}/.ssh && chmod 755 {HOME}/.ssh && chmod 644 {HOME}/{KEYS}"
    lab.server.exec(["/bin/sh", "-euc", script], check=True)


def makes_a_foreign_repository(lab: Lab, name: str) -> None:
    """Make a repository of somebody else's below that name, whatever was there before."""
    script = ('rm -rf "repos/$1" && mkdir -p repos && '
              'BORG_PASSPHRASE=theirs borg init -e repokey-blake2 "repos/$1"')
    argv = ["/usr/bin/env", "-C", HOME, f"HOME={HOME}/borg-home", "/bin/sh", "-c", script, "-"]
    lab.server.exec([*argv, name], user="zh1234", check=True)
    lab.server.exec(["rm", "-rf", f"{HOME}/borg-home"], check=True)


def saved_maintenance(lab: Lab) -> bytes:
    """Answer what Qubes' own backup would hold of the maintenance qube's private volume."""
    argv = ["tar", "-c", "-C", _KEPT, "."]
    return lab.exec("borg-maintenance", argv, check=True).stdout


def brings_maintenance_back(lab: Lab, saved: bytes) -> None:
    """Put the maintenance qube back to what an older backup holds of it."""
    root_does(lab, "borg-maintenance", f"find {_KEPT} -mindepth 1 -delete")
    lab.exec("borg-maintenance", ["tar", "-x", "-C", _KEPT], input=saved, check=True)


def clones(lab: Lab, source: str, name: str) -> None:
    """Clone a qube, which halts for it, with its features and its private volume."""
    if lab.qubes()[source]["state"] == "Running":
        lab.do("shutdown", source)
    in_dom0(lab, f"app.clone_vm({source!r}, {name!r}, ignore_errors=True)")


def restores_under_its_name(lab: Lab, name: str) -> None:
    """Restore a qube from Qubes' own backup over its loss: all as it was, but its uuid."""
    clones(lab, name, "kept-aside")
    in_dom0(lab, f"del app.domains[{name!r}]")
    clones(lab, "kept-aside", name)
    in_dom0(lab, "del app.domains['kept-aside']")
