"""The borgmatics that templates have: each backs up, warns and fails alike, in one repository.

A qube's template gets another one between two runs, and nothing is delivered anew.
"""

import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

from bootstrap import BORGMATICS
from lab import Lab
from scenarios import state

DEBIANS = "1.9.14"
MODULES = "/usr/lib/python3/dist-packages"
PATTERNS = "/home/user/.config/qubes-borg/patterns"
GROWS = "while :; do date >> ~/files/grows; done"


def _installs(lab: Lab, version: str) -> None:
    """Put a borgmatic from PyPI in the place of Debian's, as a newer template would."""
    folder, packed = Path(sys.prefix) / "borgmatic" / version, io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in folder.iterdir():
            archive.add(path, path.name)
    script = f"cd {MODULES} && rm -rf borgmatic borgmatic-*.dist-info && tar -x --no-same-owner"
    lab.exec("work", ["sh", "-c", script], user="root", input=packed.getvalue(), check=True)


def _does(lab: Lab, script: str) -> None:
    lab.exec("work", ["sh", "-euc", script], check=True)


def _as_root(lab: Lab, script: str) -> None:
    lab.exec("work", ["sh", "-euc", script], user="root", check=True)


def _made(lab: Lab) -> dict[str, int]:
    """Back up, and answer the record of it."""
    done = lab.exec("work", ["qborg-run", "--json"])
    assert done.returncode == 0, done
    made: dict[str, int] = json.loads(done.stdout)
    assert made["outcome"] == "ok"
    return made


def _fails(lab: Lab) -> str:
    done = lab.exec("work", ["qborg-run", "--json"])
    told, lines = json.loads(done.stdout), done.stderr.decode().splitlines()
    assert done.returncode == 1 and [line[:6] for line in lines] == ["error:", "hint: "]
    return str(told["outcome"])


@pytest.mark.parametrize("version", [DEBIANS, *BORGMATICS])
def test_each_borgmatic_backs_up_warns_and_fails_alike(steady: Lab, version: str) -> None:
    if version != DEBIANS:
        _installs(steady, version)
    said = steady.exec("work", ["borgmatic", "--version"], check=True).stdout.decode()
    assert said.strip() == version
    before = len(state.archives(steady))

    _does(steady, "mkdir -p ~/files; cd ~/files; head -c 2000000 /dev/urandom > new; "
                  "echo x > secret; chmod 0 secret")
    first = _made(steady)
    _does(steady, "rm -f ~/files/secret")
    second = _made(steady)
    assert first["sent"] > 2_000_000 > 100_000 > second["sent"]
    assert (first["warnings"], second["warnings"]) == (1, 0)

    _does(steady, "head -c 5000000 /dev/urandom > ~/files/grows")
    with steady.popen("work", ["sh", "-c", GROWS]):
        loud = steady.exec("work", ["qborg-run", "-v"], check=True)
    assert b"file changed while we backed it up" in loud.stderr
    assert len(state.archives(steady)) == before + 3

    _does(steady, f"cp {PATTERNS} ~/kept; echo 'R /home/user/nowhere' >> {PATTERNS}")
    assert _fails(steady) == "source-missing"
    _does(steady, f"mv ~/kept {PATTERNS}; cd ~/.ssh/backups; cp -p borgpass ~/kept; "
                  "sed -i 's/./X&/' borgpass")
    assert _fails(steady) == "wrong-passphrase"
    _does(steady, "mv ~/kept ~/.ssh/backups/borgpass")
    steady.server.stop_sshd()
    assert _fails(steady) == "server-unreachable"
    steady.server.start_sshd()
    _as_root(steady, f"mv {MODULES}/ruamel {MODULES}/gone")
    assert _fails(steady) == "borgmatic-missing"
    _as_root(steady, f"mv {MODULES}/gone {MODULES}/ruamel")
    assert len(state.archives(steady)) == before + 3
