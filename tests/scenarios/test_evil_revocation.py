"""An evil maintenance qube while a key is revoked: forged replies of RevokeKeys.

It holds the admin key, and may leave any key in that it likes; but dom0 does not believe what
cannot be, and takes the bundle out of no qube before it was told that the key is refused.
"""

import json
from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import attacker, person, state
from scenarios.attacker import ESC, EVIL, MARK, says
from scenarios.attempts import Attempt

REVOKE = ("qvm-borg-revoke", "work")
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKv8PkzJ7pmGNAnMPrCwTEu5qVdKmMgWz9pqGf8T2m3x"
_OUTSIDE = "outside the contract: exit code 8, nothing of it shown"


@dataclass(frozen=True)
class Lie(Attempt):
    """What stands in the place of OLD in the well-formed reply, and the exit code."""

    old: str
    new: str
    code: int = 8


LIES = {
    "another-key": Lie("tell of another key than the noted one", "noticed: exit code 8",
                       "fingerprint=@PRINT@", f"fingerprint=SHA256:{'A' * 43}"),
    "no-key": Lie("say that there never was a key", "noticed: exit code 8",
                  "fingerprint=@PRINT@", "fingerprint=none"),
    "untried": Lie("leave the key untried", "noticed: exit code 8", "key=refused", "key=unasked"),
    "taken": Lie("say that the server still takes it", "exit code 15, nothing else is undone",
                 "key=refused", "key=taken", 15),
    "two-lines-to-remove": Lie("a second line in the key that a person is to remove", _OUTSIDE,
                               "@KEY@", "@KEY@\n@KEY@"),
    "line-with-options": Lie("options before that key", _OUTSIDE, "@KEY@", 'command="sh" @KEY@'),
    "anothers-line-to-remove": Lie(
        "have a person remove the line of another key, the admin's or another qube's",
        "noticed: exit code 8", "@KEY@", OTHER),
    "quota-with-words": Lie("a shell in the quota of that line", _OUTSIDE, "quota=none",
                            "quota=50G; sh"),
    "escapes": Lie("escape sequences as a value", _OUTSIDE, "secrets=kept", f"secrets={ESC}"),
    "unknown-fate": Lie("a fate that nobody knows", _OUTSIDE, "repository=kept",
                        f"repository={MARK}"),
    "old-nonce": Lie("replay an earlier reply", _OUTSIDE, "@NONCE@", "a" * 32),
    "blames-the-repository": Lie(
        "say that a repository must be kept", "exit code 19, as told of the maintenance qube",
        "outcome=ok\npublic_key=@KEY@\nfingerprint=@PRINT@\nquota=none\nchanged=yes\n"
        "key=refused\nsecrets=kept\nrepository=kept",
        "outcome=repository-kept\ndetail=it is in quarantine", 19),
}
GOOD = ("nonce=@NONCE@\noutcome=ok\npublic_key=@KEY@\nfingerprint=@PRINT@\nquota=none\n"
        "changed=yes\nkey=refused\nsecrets=kept\nrepository=kept\n")


def _filled(lab: Lab, text: str) -> str:
    """Answer a reply with the key and the fingerprint that dom0 knows of."""
    registry = ["cat", "/home/user/.local/share/qubes-borg/registry.json"]
    entry = json.loads(lab.exec(EVIL, registry, check=True).stdout)["repositories"]["qubes-work"]
    return text.replace("@KEY@", entry["public_key"]).replace("@PRINT@", entry["fingerprint"])


@pytest.mark.parametrize("row", LIES.values(), ids=LIES)
def test_a_lie_about_the_key_takes_nothing_out_of_the_qube(steady: Lab, row: Lie) -> None:
    assert row.old in GOOD
    lie = _filled(steady, GOOD.replace(row.old, row.new, 1))
    attacker.shadows(steady, "qborg.RevokeKeys", *says(lie), qube=EVIL)
    before = state.files(steady, "work", "/rw")

    attacker.is_seen_through(steady, *REVOKE, code=row.code)

    assert state.files(steady, "work", "/rw") == before
    assert "service.qborg-client" in state.qubesd(steady)["work"]["features"]


FLOOD = {"flood": Attempt("a reply without an end", _OUTSIDE)}


def test_a_flood_ends_at_the_limit(steady: Lab) -> None:
    attacker.shadows(steady, "qborg.RevokeKeys", ["read"], ["flood", f"{MARK}\n"], qube=EVIL)

    attacker.is_seen_through(steady, *REVOKE, code=8)

    attacker.repents(steady, EVIL)
    assert "qubes-work: revoked" in person.runs(steady, *REVOKE)
