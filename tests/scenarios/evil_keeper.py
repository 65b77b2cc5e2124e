"""An evil maintenance qube that answers a service itself, and what an honest one would say.

A reply of HONEST is well formed; a name between two @ in it stands for what dom0 knows already.
"""

from collections.abc import Mapping

from lab import Lab
from scenarios import attacker, person
from scenarios.attacker import EVIL, says

OK = "nonce=@NONCE@\noutcome=ok\n"
# A key with its fingerprint, as ssh-keygen tells it, and another key.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKv8PkzJ7pmGNAnMPrCwTEu5qVdKmMgWz9pqGf8T2m3x"
PRINT = "SHA256:3e4Cdq8WSu1PNiVQCY4KFsS2SZyVlfuNZAWPMDanKAs"
OTHER = KEY.replace("m3x", "m3w")
ZEROS = "0" * 64
FORGED = {"KEY": KEY, "PRINT": PRINT, "ID": ZEROS, "EXPORT": ZEROS, "RECORD": ZEROS,
          "BUNDLE": ZEROS}  # fmt: skip

# A success of every service that dom0 calls there.
HONEST = {
    "CheckSetup": f"{OK}admin_key={KEY}\nhost_key=@HOST@\nlogin=ok\nremote_borg=borg14\n"
                  "borg=1.4.0\nepoch=0\noccupied=none\nrevoked=none\nprovider=generic\n"
                  "access=shell\nkeys=ours\nsnapshots=unknown\n",
    "FirstLogin": f"{OK}installed=yes\n",
    "MakeKeys": f"{OK}public_key=@KEY@\nfingerprint=@PRINT@\ncreated=yes\nquota=none\n"
                "origin=made\nsecrets=kept\n",
    "RegisterKey": f"{OK}fingerprint=@PRINT@\nchanged=yes\nquota=none\nleaked=no\n",
    "PublishKeys": f"{OK}epoch=1\nkeys=1\nchanged=yes\ndigest={ZEROS}\n"
                   "awaited=none\n",
    "RevokeKeys": f"{OK}public_key=@KEY@\nfingerprint=@PRINT@\nquota=none\nchanged=yes\n"
                  "key=refused\nsecrets=kept\nrepository=kept\n",
    "InitRepository": f"{OK}repository_id=@ID@\nkey_digest=@EXPORT@\ncreated=yes\n"
                      "encryption=repokey-blake2\n",
    "SendRecord": f"{OK}record=@RECORD@\nchanged=yes\n",
    "SendBundle": f"{OK}bundle=@BUNDLE@\nchanged=yes\naside=no\n",
    "ForgetSecrets": f"{OK}changed=yes\n",
    "ObserveServer": f"{OK}evidence=qubes-work,made,@PRINT@,@EXPORT@,9,1700000100,3984,1718,fine\n",
    "ExpectAccount": f"{OK}account=here\n",
    "LendRepository": f"{OK}lent=yes\n",
}  # fmt: skip


def filled(reply: str, known: Mapping[str, str]) -> str:
    """Answer a reply with what dom0 knows, or shall believe, in the place of its names."""
    for name, value in known.items():
        reply = reply.replace(f"@{name}@", value)
    return reply


def answers(lab: Lab, service: str, reply: str) -> None:
    """Have the maintenance qube answer a service by that; @HOST@ is the server's fingerprint."""
    text = reply.replace("@HOST@", person.fingerprint(lab))
    attacker.shadows(lab, f"qborg.{service}", *says(text), qube=EVIL)
