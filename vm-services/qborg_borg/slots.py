"""What may stand in each slot of a bundle's skeletons.

Runs in maintenance, which fills them, and in the client, which accepts nothing else. Each
pattern is matched whole, holds no named or capturing group and no character that means
anything to ssh, YAML, cron or a shell where the slot stands.
"""

import re

from qborg_wire import names

# The first line that ssh-keygen writes for an ed25519 key that no passphrase encrypts.
_PRIVATE_BEGIN = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"
_BASE64 = "[A-Za-z0-9+/]"

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
    "passphrase": re.compile("[A-Za-z0-9_-]{43}"),
    "private_key": re.compile(
        rf"{_PRIVATE_BEGIN}\n(?:{_BASE64}{{70}}\n){{2,6}}{_BASE64}{{1,70}}={{0,2}}"
    ),
    "public_key": re.compile(rf"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{_BASE64}{{43}}"),
    "minute": re.compile("[1-5]?[0-9]"),
}
