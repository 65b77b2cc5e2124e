"""Where a bundle leads to, as one digest: for dom0 by its settings, for a client by its bundle.

Used on both sides. A maintenance qube that puts another server into a bundle is noticed by it.
"""

import hashlib


def digest(host: str, port: str, account: str, fingerprint: str, remote_borg: str) -> str:
    """Answer the sha256 in hex; `fingerprint` is the host key's `SHA256:...`."""
    lines = ("qubes-borg endpoint 1", host, port, account, fingerprint, remote_borg)
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("ascii")).hexdigest()
