"""Why a qube may not be enrolled: all that can be known before anything is changed.

Runs in dom0. Nothing here changes anything; a qube runs only while it is asked.
"""

import re
import time
from collections.abc import Mapping, Sequence

from qborg_wire.reply import Failure
from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg import record
from qvm_borg.enrolment import ORDER, Enrolment
from qvm_borg.failures import from_failure
from qvm_borg.qubes import Qube, running

_OLDEST = {"borg": (1, 2), "borgmatic": (1, 8)}
_LOOKS = 3  # at the server, three seconds apart: a network needs a moment after boot


def _refuse(wrong: object, subject: object, name: str, detail: str = "-") -> None:
    """Raise the error of that name in failures.toml if something is wrong with the subject."""
    if wrong:
        raise from_failure(str(subject), Failure(name, detail))


def qube(enrolment: Enrolment, others: Sequence[str], user: Qube | None = None) -> None:
    """Raise what speaks against a qube as dom0 knows it; the qube itself is not asked.

    `others`: the names of all that are enrolled; `user`: whoever backs up into its repository.
    """
    this, klass = enrolment.qube, enrolment.qube.property("klass")
    _refuse(klass == "AdminVM", this, "is-dom0")
    _refuse(klass == "TemplateVM", this, "is-template")
    _refuse(klass not in ("AppVM", "StandaloneVM"), this, "is-disposable")
    _refuse(this.property("template_for_dispvms"), this, "is-disposable-template")
    roles = (enrolment.session.system.role(role) for role in (Role.MAINTENANCE, Role.VAULT))
    _refuse(this.uuid in [role.uuid for role in roles if role], this, "has-role")
    found = record.parse(this.feature(record.FEATURE))
    _refuse(found and found.uuid != this.uuid, this, "is-copy")
    _refuse(found and found.step == record.REVOKING, this, "is-being-revoked")
    _refuse(user is not None and user.uuid != this.uuid, this, "is-in-use", str(user))
    _refuse(found and found.escrowed and enrolment.vault is None, this, "is-escrowed")
    _refuse(enrolment.by_client and found and found.step != ORDER[-1]
            and record.KEYS not in found.notes, this, "has-keys-elsewhere")
    _refuse(found and found.repository != enrolment.repository, this, "was-renamed")
    _refuse(any(other != this.name and other.lower() == this.name.lower() for other in others),
            this, "differs-by-case")
    _refuse(this.property("netvm") is None, this, "has-no-netvm")
    _refuse(this.feature("service.custom-persist", inherited=True), this, "keeps-chosen-paths")
    _refuse(not this.offers(SERVICES["InstallBundle"]), this, "offers-no-services")


def server(enrolments: Sequence[Enrolment]) -> dict[str, str]:
    """Ask the maintenance qube about the server; answers which repositories cannot be had, and why.

    Raises what speaks against any enrolment.
    """
    one = enrolments[0]
    values = one.settings.request([str(each.repository) for each in enrolments], "enrolment")
    reply = one.session.call(one.maintenance, "CheckSetup", values)
    wrong = {
        "host-key-changed": reply["host_key"] != one.settings.host_key,
        "login-refused": reply["login"] != "ok",
        "borg-missing": "none" in (reply["borg"], reply["remote_borg"]),
        "list-not-ours": reply["keys"] == "awaited" and any(each.by_client for each in enrolments),
    }
    for cause in (cause for cause, found in wrong.items() if found):
        raise from_failure(one.maintenance.name, Failure(cause, "-"))
    return {**dict.fromkeys(reply["occupied"].split(), "repository-exists"),
            **dict.fromkeys(reply["revoked"].split(), "key-revoked")}


def client(enrolment: Enrolment, taken: Mapping[str, str]) -> None:
    """Start the qube if need be, ask it, and raise what speaks against it."""
    cause = taken.get(str(enrolment.repository))
    # Of an imported one the keyholder knows the old name, so it asks the server itself.
    if cause == "key-revoked" or cause and not enrolment.asked.directory != "none":
        raise from_failure(enrolment.qube.name, Failure(cause, "-"))
    _refuse(enrolment.by_client and enrolment.vault is None, enrolment, "has-no-vault")
    with running(enrolment.qube, enrolment.session.report.say):
        for look in range(_LOOKS):
            time.sleep(3 * bool(look))
            if enrolment.describe()["server"] == "reachable":
                break
    says, this, settings = enrolment.client, enrolment.qube, enrolment.settings
    _refuse(says["qube"] != this.name, this, "answers-as-another")
    for program, oldest in _OLDEST.items():
        found = says[program]
        _refuse(found == "none", this, f"{program}-missing")
        _refuse(_version(found) < oldest or (program, found[:2]) == ("borg", "2."), this,
                "program-too-old", f"{program} {found}")
    _refuse(says["cron"] == "missing", this, "cron-missing")
    _refuse(says["server"] != "reachable", this, "server-unreachable", settings.server)
    _refuse(says["host_key"] != settings.host_key, this, "sees-another-host-key")


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"[0-9]+", text)[:2]))
