"""Why a qube may not be enrolled: all that can be known before anything is changed.

Runs in dom0. Nothing here changes anything; a qube runs only while it is asked.
"""

import re
import time
from collections.abc import Mapping, Sequence

from qborg_wire.reply import Failure
from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg import errors, record
from qvm_borg.enrolment import Enrolment
from qvm_borg.failures import from_failure
from qvm_borg.qubes import Qube, running

_OLDEST = {"borg": (1, 2), "borgmatic": (1, 8)}
_LOOKS = 3  # at the server, three seconds apart: a network needs a moment after boot
_PACKAGE = ("install qubes-borg-client in its template (a standalone: in itself), shut down "
            "template and qube, and try again")
_UNSET = f"`qvm-features --unset NAME {record.FEATURE}` makes it a new one; then try again"


def _refuse(wrong: object, subject: object, message: str, hint: str,
            kind: type[errors.QvmBorgError] = errors.EnrolmentRefused) -> None:
    if wrong:
        raise kind(f"{subject}: {message}", hint.replace("NAME", str(subject)))


def qube(enrolment: Enrolment, others: Sequence[str], user: Qube | None = None) -> None:
    """Raise what speaks against a qube as dom0 knows it; the qube itself is not asked.

    `others`: the names of all that are enrolled; `user`: whoever backs up into its repository.
    """
    this, klass = enrolment.qube, enrolment.qube.property("klass")
    _refuse(klass == "AdminVM", this, "is dom0: it has no network and no place here",
            "`qvm-backup` takes dom0's home along")
    _refuse(klass == "TemplateVM", this, "is a template: nothing of yours lies in it",
            "enrol the qubes that are based on it")
    _refuse(klass not in ("AppVM", "StandaloneVM"), this, "is a disposable: it keeps no files",
            "enrol a qube that keeps its files")
    _refuse(this.property("template_for_dispvms"), this,
            "is a disposable template: every disposable would get its keys",
            "if it need not be one: `qvm-prefs NAME template_for_dispvms False`")
    roles = (enrolment.session.system.role(role) for role in (Role.MAINTENANCE, Role.VAULT))
    _refuse(this.uuid in [role.uuid for role in roles if role], this,
            "has a role of qubes-borg itself", "back it up with `qvm-backup`")
    found = record.parse(this.feature(record.FEATURE))
    _refuse(found and found.uuid != this.uuid, this, "is a copy of an enrolled qube", _UNSET)
    _refuse(found and found.step == record.REVOKING, this, "its key is being revoked",
            "`qvm-borg-revoke NAME` goes on with it; then enrol it again")
    _refuse(user is not None and user.uuid != this.uuid, this,
            f"{enrolment.repository} is in use for {user}, which was renamed",
            f"rename one of the two; or `qvm-borg-revoke {user}`")
    _refuse(found and found.escrowed and enrolment.vault is None, this,
            "has its record in the vault already",
            "leave --no-escrow out: what a vault has, stays there")
    _refuse(found and found.repository != enrolment.repository, this,
            "was enrolled under another name", "rename it back; or `qvm-borg-revoke NAME`, which "
            "keeps its repository, and enrol it as a new one")
    _refuse(any(other != this.name and other.lower() == this.name.lower() for other in others),
            this, "differs from another enrolled qube by upper and lower case only", "rename one")
    _refuse(this.property("netvm") is None, this, "has no netvm",
            "without network it needs the relay, which is not there yet; or give it a netvm")
    _refuse(this.feature("service.custom-persist", inherited=True), this,
            "keeps chosen paths only (custom-persist), and would lose what enrolment writes",
            "`qvm-service --disable NAME custom-persist`")
    _refuse(not this.offers(SERVICES["InstallBundle"]), this,
            "its template does not offer our services", _PACKAGE, errors.TemplateError)


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
    }
    for cause in (cause for cause, found in wrong.items() if found):
        raise from_failure(one.maintenance.name, Failure(cause, "-"))
    return {**dict.fromkeys(reply["occupied"].split(), "repository-exists"),
            **dict.fromkeys(reply["revoked"].split(), "key-revoked")}


def client(enrolment: Enrolment, taken: Mapping[str, str]) -> None:
    """Start the qube if need be, ask it, and raise what speaks against it."""
    cause = taken.get(str(enrolment.repository))
    # Of an imported one the keyholder knows the old name, so it asks the server itself.
    if cause == "key-revoked" or cause and not enrolment.imports:
        raise from_failure(enrolment.qube.name, Failure(cause, "-"))
    with running(enrolment.qube, enrolment.session.report.say):
        for look in range(_LOOKS):
            time.sleep(3 * bool(look))
            if enrolment.describe()["server"] == "reachable":
                break
    says, this, settings = enrolment.client, enrolment.qube, enrolment.settings
    _refuse(says["qube"] != this.name, this, "it answers under another name",
            errors.WireError.hint, errors.WireError)
    for program, oldest in _OLDEST.items():
        found = says[program]
        _refuse(found == "none", this, f"there is no {program}", _PACKAGE, errors.TemplateError)
        _refuse(_version(found) < oldest or (program, found[:2]) == ("borg", "2."), this,
                f"{program} {found} does not fit: {oldest[0]}.{oldest[1]} or later, no borg 2",
                _PACKAGE, errors.TemplateError)
    _refuse(says["cron"] == "missing", this, "there is no cron",
            f"cron (Debian) or cronie (Fedora): {errors.TemplateError.hint}", errors.TemplateError)
    _refuse(says["server"] != "reachable", this, f"it cannot reach {settings.server}",
            errors.ServerUnreachable.hint, errors.ServerUnreachable)
    _refuse(says["host_key"] != settings.host_key, this, "it sees another host key than confirmed",
            "its netvm leads elsewhere, or somebody listens in", errors.HostKeyError)


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"[0-9]+", text)[:2]))
