"""The rows of the table of kills in a set-up that logs in by a password, typed in a window."""

import re
from typing import Any

from lab import Lab
from scenarios import canary, kills, lost, person, rehearsal, state
from scenarios.killed import KEEPER, VAULT, Undisturbed, admin_logs_in, end, mended, strikes
from scenarios.kills import Row
from scenarios.typist import PASSWORD

# Without an end, so that a line put after it must not be glued to it.
_FOREIGN = b"%s nas" % rehearsal.OTHER
_NEW = re.compile(rb"%s\nssh-ed25519 \S+ qubes-borg-admin qubes\n" % re.escape(_FOREIGN))
_FORMER_OR_NEW = re.compile(rb"%s|%s" % (re.escape(_FOREIGN), _NEW.pattern))
_KEYS = f"{person.HOME}/{person.KEYS}"


class Password:
    """A set-up in one run, of an account that has only a password; the vault gets its record."""

    def __init__(self, lab: Lab) -> None:
        """Go through it undisturbed; the lab is one with windows, nothing run in it yet."""
        self._lab = lab
        lab.do("start", "sys-firewall")
        script = f"umask 077; cat > {_KEYS}"
        lab.server.exec(["sh", "-c", script], user="zh1234", input=_FOREIGN, check=True)
        self._command = ("qvm-borg-setup", "--server", person.SERVER, "--fingerprint",
                         person.fingerprint(lab), "--password", "--vault", VAULT)  # fmt: skip
        lab.snapshot("password-only")
        lab.faults.clear()
        person.runs(lab, *self._command)
        self.clean = Undisturbed(kills.distinct(kills.PASSWORD, lab.trace()), self._end())

    def _end(self) -> dict[str, Any]:
        for qube in (KEEPER, VAULT):
            lost.starts(self._lab, qube)
        kept, found = state.files(self._lab, VAULT, "/rw/home/user"), end(self._lab)
        return found | {
            "vault": {path: about[:3] for path, about in kept.items()},
            # A login that was cut once the key was in place is not repeated, and leaves it.
            "server": {path: about for path, about in found["server"].items()
                       if not path.startswith(rehearsal.LOCK)},
        }  # fmt: skip

    def converges(self, row: Row) -> bool:
        """Kill in it, and see that the same once more reaches the end of a clean one."""
        lab = self._lab
        lab.restore("password-only")
        hit = strikes(lab, row, self.clean.calls[row.call], *self._command)
        if hit:
            mended(lab, row)
        assert _FORMER_OR_NEW.fullmatch(rehearsal.read(lab))
        about = lab.server.exec(["stat", "-c", "%a %U", _KEYS], check=True).stdout
        assert about == b"600 zh1234\n"

        said = person.runs(lab, *self._command)

        changed = state.changes(self.clean.end, self._end())
        assert changed == [], changed
        assert _NEW.fullmatch(rehearsal.read(lab))
        admin_logs_in(lab)
        assert PASSWORD.decode() not in said
        self._password_is_nowhere()
        rehearsal.publishes(lab)
        assert "qborg-lock" not in rehearsal.left_at_the_server(lab)
        return hit

    def _password_is_nowhere(self) -> None:
        needles = b"\n".join(canary.spellings(PASSWORD))
        for machine in ("dom0", KEEPER, VAULT, "server"):
            assert canary.files_with(self._lab, machine, needles) == []
        for path in (self._lab.state / "log").glob("*"):
            assert PASSWORD not in path.read_bytes(), path
