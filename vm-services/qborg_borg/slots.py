"""What may stand in each slot of a bundle's skeletons.

Runs in maintenance, which fills them, and in the client, which accepts nothing else. Each
pattern is matched whole, holds no named or capturing group and no character that means
anything to ssh, YAML, cron or a shell where the slot stands.
"""

import re

from qborg_wire import names

_BASE64 = "[A-Za-z0-9+/]"
# The first line that ssh-keygen writes for a key that no passphrase encrypts: ed25519, or RSA of
# any length, which only the old scripts' users have.
_PRIVATE_BEGIN = (
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAA"
    rf"(?:AMwAAAAtzc2gtZW|{_BASE64}{{3}}AAAAdzc2gtcn)"
)

HOST_KEY = re.compile(
    rf"(?:ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{_BASE64}{{43}}"
    rf"|ecdsa-sha2-nistp(?:256|384|521) AAAAE2VjZHNhLXNoYTItbmlzdH{_BASE64}{{100,220}}={{0,2}}"
    rf"|ssh-rsa AAAAB3NzaC1yc2EA{_BASE64}{{300,1400}}={{0,2}})"
)

SLOTS: dict[str, re.Pattern[str]] = {
    "repository": re.compile(f"{names.MACHINE.pattern}-{names.QUBE.pattern}"),
    "qube": names.QUBE,
    "host": names.HOST,
    "port": names.PORT,
    "account": names.ACCOUNT,
    "host_key": HOST_KEY,
    "remote_borg": names.REMOTE_BORG,
    # Ours are 43 characters of base64url; an imported one is what a person once typed. It stands
    # in a file of its own, and is read by borg and nobody else.
    "passphrase": re.compile("[!-~](?:[ -~]{0,198}[!-~])?"),
    "private_key": re.compile(
        rf"{_PRIVATE_BEGIN}\n(?:{_BASE64}{{70}}\n){{2,60}}{_BASE64}{{1,70}}={{0,2}}"
    ),
    "public_key": names.PUBLIC_KEY,
    "minute": re.compile("[1-5]?[0-9]"),
    "repository_id": names.DIGEST,
    "borg_key": re.compile(rf"(?:{_BASE64}{{1,128}}\n){{0,99}}{_BASE64}{{1,128}}={{0,2}}"),
}
