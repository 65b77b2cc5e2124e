"""Good values that several parsers are fed with, and the words that may stand in their place."""

import base64

MACHINE, QUBE, NAME = "dom", "work", "dom-work"
MACHINE_ID, OTHER_ID, NONCE = "ab" * 16, "cd" * 16, "0123456789abcdef" * 2
DIGEST = "5" * 64
FINGERPRINT = "SHA256:" + "h" * 43
RSA = "ssh-rsa AAAAB3NzaC1yc2EA" + "b" * 356
ECDSA = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdH" + "p" * 114 + "="


def ed25519(number: int) -> str:
    """Answer a well-formed public key that differs by number."""
    head = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
    return "ssh-ed25519 " + base64.b64encode(head + bytes([number]) * 32).decode("ascii")


WORDS = tuple(
    word.encode("ascii")
    for word in (
        MACHINE, "desk", QUBE, "vault", "Work", "dom0", "none", "work-dm", NAME, "dom-vault",
        "dom-dom0", "a" * 16 + "-" + "b" * 31, "a" * 17 + "-b", MACHINE_ID, OTHER_ID, NONCE, DIGEST,
        FINGERPRINT, ed25519(1), ed25519(2), ed25519(9), RSA, ECDSA, "backup.example", "10.0.0.1",
        "-oProxyCommand=id", "22", "65535", "65536", "022", "zh1", "root", "borg14", "borg",
        "unknown", "probe", "yes", "no", "0", "999999999", "1000000000",
    )
)  # fmt: skip
