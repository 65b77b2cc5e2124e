"""Why a qube may not be enrolled: all that can be known before anything is changed.

Runs in dom0. Nothing here changes anything; a qube runs only while it is asked.
"""

import re
from collections.abc import Mapping, Sequence

from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg import record
from qvm_borg.enrolment import ORDER, Enrolment
from qvm_borg.flow import Flow, pausing
from qvm_borg.qubes import Qube
from qvm_borg.telling import from_failure

_OLDEST = {"borg": (1, 2), "borgmatic": (1, 8)}


def _refuse(wrong: object, subject: object, name: str, detail: str = "-") -> None:
    """Raise the error of that name in failures.toml if something is wrong with the subject."""
    if wrong:
        raise from_failure(subject, name, detail)


def qube(enrolment: Enrolment, others: Sequence[str], users: Sequence[Qube] = ()) -> None:
    """Raise what speaks against a qube as dom0 knows it; the qube itself is not asked.

    `others`: the names of all that are enrolled; `users`: who backs up into its repository, or
    the one that it shall go on with.
    """
    this, klass = enrolment.qube, enrolment.qube.property("klass")
    _refuse(klass == "AdminVM", this, "is-dom0")
    _refuse(klass == "TemplateVM", this, "is-template")
    _refuse(klass not in ("AppVM", "StandaloneVM"), this, "is-disposable")
    _refuse(this.property("template_for_dispvms"), this, "is-disposable-template")
    roles = (enrolment.session.system.role(role) for role in (Role.MAINTENANCE, Role.VAULT))
    _refuse(this.uuid in [role.uuid for role in roles if role], this, "has-role")
    found, known, asked = enrolment.known, enrolment.record, enrolment.asked
    _refuse(known.uuid != this.uuid, this, "is-copy")
    _refuse(known.step == record.REVOKING, this, "is-being-revoked")
    for user in users:
        _refuse(user.uuid != this.uuid, this, "is-in-use", str(user))
    _refuse(known.escrowed and enrolment.vault is None, this, "is-escrowed")
    encryption(enrolment, known.encryption)
    _refuse(enrolment.by_client and found and found.step != ORDER[-1] and not asked.continues
            and record.KEYS not in found.notes, this, "has-keys-elsewhere")
    _refuse(known.repository != enrolment.repository, this, "was-renamed")
    _refuse(asked.continues and found and (found.step != ORDER[1] or record.KEYS in found.notes),
            this, "has-a-repository")
    _refuse(record.RESTORE in known.notes and not asked.restore, this, "has-files-to-come")
    _refuse(any(other != this.name and other.lower() == this.name.lower() for other in others),
            this, "differs-by-case")
    _refuse(this.property("netvm") is None, this, "has-no-netvm")
    _refuse(this.feature("service.custom-persist", inherited=True), this, "keeps-chosen-paths")
    _refuse(not this.offers(SERVICES["InstallBundle"]), this, "offers-no-services")


def encryption(enrolment: Enrolment, found: str) -> None:
    """Raise what speaks against how the repository is encrypted, or is to be.

    Of one that it goes on with, the keyholder alone knows.
    """
    asked, known = enrolment.asked.encryption, enrolment.record
    wanted = asked or (known.encryption if record.CONTINUES not in known.notes else found)
    _refuse(wanted != found, enrolment, "is-encrypted", found)
    _refuse(found == record.KEYFILE and enrolment.vault is None, enrolment, "has-a-key-file")


def server(enrolments: Sequence[Enrolment]) -> dict[str, str]:
    """Ask the maintenance qube about the server; answers which repositories cannot be had, and why.

    Raises what speaks against any enrolment.
    """
    one = enrolments[0]
    values = one.settings.request([str(each.repository) for each in enrolments], "enrolment")
    reply = one.session.call(one.maintenance, "CheckSetup", values)
    _refuse(reply["host_key"] != one.settings.host_key, one.maintenance, "host-key-changed")
    _refuse(reply["login"] != "ok", one.maintenance, "login-refused")
    _refuse("none" in (reply["borg"], reply["remote_borg"]), one.maintenance, "borg-missing")
    _refuse(reply["keys"] == "awaited" and any(each.by_client for each in enrolments),
            one.maintenance, "list-not-ours")
    return {**dict.fromkeys(reply["occupied"].split(), "repository-exists"),
            **dict.fromkeys(reply["revoked"].split(), "key-revoked")}


def client(enrolment: Enrolment, taken: Mapping[str, str]) -> Flow[None]:
    """Start the qube if need be, ask it, and raise what speaks against it."""
    goes_on = {enrolment.record.notes.get(record.CONTINUES), str(enrolment.asked.continues)}
    name, imported = str(enrolment.repository), enrolment.asked.directory != "none"
    cause = "" if name in goes_on else taken.get(name, "")
    # Of an imported one the keyholder knows the old name, so it asks the server itself.
    _refuse(cause == "key-revoked" or cause and not imported, enrolment, cause)
    _refuse(enrolment.by_client and enrolment.vault is None, enrolment, "has-no-vault")
    yield from enrolment.coming()
    with enrolment.running():
        for look in range(3):  # at the server: a network needs a moment after boot
            yield from pausing(3 * bool(look))
            if (yield from enrolment.describing())["server"] == "reachable":
                break
    says, this, settings = enrolment.client, enrolment.qube, enrolment.settings
    _refuse(says["qube"] != this.name, this, "answers-as-another")
    for program, oldest in _OLDEST.items():
        found = says[program]
        _refuse(found == "none", this, f"{program}-missing")
        version = tuple(map(int, re.findall(r"[0-9]+", found)[:2]))
        _refuse(version < oldest or (program, found[:2]) == ("borg", "2."), this,
                "program-too-old", f"{program} {found}")
    _refuse(says["cron"] == "missing", this, "cron-missing")
    _refuse(says["server"] != "reachable", this, "server-unreachable", settings.server)
    _refuse(says["host_key"] != settings.host_key, this, "sees-another-host-key")
