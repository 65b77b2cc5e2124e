"""A good bundle for the tests, its key pair made once by ssh-keygen."""

import functools
import re
import subprocess
import tempfile
from pathlib import Path

from qborg_borg.bundle import encode_bundle, skeletons
from qborg_borg.key_export import KEYFILE, REPOKEY
from qborg_wire.names import Repository

REPOSITORY = Repository("dom", "work")
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "Q" * 43
PASSPHRASE = "hunter2_" + "x" * 35
BORG_KEY = "\n".join(("hqlhbGdvcml0aG2m" + "k" * 54, "k" * 70, "k" * 20 + "=="))
KEY_SLOTS = {"repository_id": "1d" * 32, "borg_key": BORG_KEY}


@functools.cache
def key_pair() -> tuple[str, str]:
    """Answer the body of a private key and its public key."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "key"
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dom-work", "-f", str(path)]
        subprocess.run(argv, check=True)
        body = "\n".join(path.read_text().strip().split("\n")[1:-1])
        public = " ".join(path.with_name("key.pub").read_text().split()[:2])
    return body, public


def values() -> dict[str, str]:
    """Answer a good value for each slot."""
    body, public = key_pair()
    return {
        "repository": str(REPOSITORY), "qube": "work", "host": "ab1234.rsync.example",
        "port": "22", "account": "ab1234", "host_key": HOST_KEY, "remote_borg": "borg14",
        "passphrase": PASSPHRASE, "private_key": body, "public_key": public, "minute": "17",
    }


def files(**changes: str) -> dict[str, str]:
    """Answer the files of a bundle, some slots filled otherwise; with a key file if it is."""
    filling = {**values(), **changes}
    encryption = KEYFILE if "borg_key" in changes else REPOKEY
    return {
        name: re.sub(r"\{\{ (\w+) \}\}", lambda slot: filling[slot[1]], text)
        for name, text in skeletons(REPOSITORY, encryption).items()
    }


def record(**changes: str) -> bytes:
    """Answer the record of a bundle, some slots filled otherwise."""
    return encode_bundle(REPOSITORY, files(**changes))
