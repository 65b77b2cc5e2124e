"""From nothing to a restored file, and back to nothing, with packages and Salt alone.

No checkout and no pip takes part: dom0 has the rpm, the template gets the debs by Salt.
"""

import re
from pathlib import PurePath

from lab import Lab
from salt import place
from scenarios import person, state

TEMPLATE, QUBE, LETTER = "debian-13", "work", "/home/user/letter"
OURS = ("find", "/etc", "/usr", "/srv", "/run/qubes", "-xdev", "(", "-name", "*qborg*", "-o",
        "-name", "*qubes[_-]borg*", "-o", "-name", "*qvm[_-]borg*", "-o", "-name", "borgbak*", ")")
# What the package names as it goes, and what is true of the template still: cron stays there.
KEPT = {
    "/borg-maintenance", "/dom0/features/x-qborg-maintenance", "/dom0/features/x-qborg-vault",
    "/vault/features/service.qborg-vault", f"/{QUBE}/features/service.crond",
    f"/{TEMPLATE}/features/supported-service.crond",
}  # fmt: skip
TOPS = {"dom0": ("/etc", "/usr", "/srv", "/home", "/root", "/var"),
        TEMPLATE: ("/etc", "/usr", "/srv", "/home", "/root", "/opt"),
        QUBE: ("/home", "/rw/config", "/var/spool/cron")}
# What there is more of than before, besides Debian's packages in the template: in dom0 the settings
# and what Salt itself keeps, in the template what these packages enabled, in the qube borg's own.
KEPT_FILES = {
    "dom0": r"/home/user/(\.config|\.local(/state)?)|/(usr/lib/lab-salt|var/\w+|etc/salt)/.*"
            r"|/srv/salt/_tops(/base)?"
            r"|/home/user/\.(config|local/state)/qubes-borg(/.*)?",
    TEMPLATE: r"/etc/rc\d\.d/...cron|/etc/systemd/system/(multi-user|timers)\.target\.wants"
              r"(/cron\.service|/borgmatic\.timer)?"
              r"|/etc/systemd/user/sockets\.target\.wants(/ssh-agent\.socket)?",
    QUBE: rf"{LETTER}|/home/user/\.(cache|config)(/borg(/.*)?)?|/home/user/\.local(/state)?"
          r"|/var/spool/cron(/crontabs)?",
}  # fmt: skip


def ours(lab: Lab, qube: str) -> set[PurePath]:
    """Answer what of ours lies outside of homes."""
    found = place.awake(lab, qube).exec(qube, list(OURS), user="root").stdout.decode()
    return {PurePath(line) for line in found.splitlines()}


def packaged(lab: Lab, qube: str) -> set[str]:
    """Answer what Debian's packages in a qube have brought."""
    owned = lab.exec(qube, ["sh", "-c", "cat /var/lib/dpkg/info/*.list"], check=True).stdout
    return set(owned.decode().splitlines())


def listed(lab: Lab, qube: str) -> set[str]:
    """Answer the names of all files below a qube's tops."""
    words = ["find", *TOPS[qube], "-xdev"]
    found = place.awake(lab, qube).exec(qube, words, user="root").stdout.decode()
    return set(found.splitlines())


def test_to_a_restored_file_and_back(bare: Lab) -> None:
    for name in ("sys-firewall", QUBE):
        bare.do("start", name)
    before, files = state.qubesd(bare), {qube: listed(bare, qube) for qube in TOPS}
    bare.do("shutdown", TEMPLATE)
    assert not ours(bare, QUBE)

    person.sets_up(bare, "--salt", TEMPLATE, "--vault", "vault", "--firewall",
                   "borg-maintenance")
    bare.do("shutdown", QUBE)
    bare.do("start", QUBE)
    bare.exec(QUBE, ["dd", f"of={LETTER}"], input=b"dear\n", check=True)
    person.runs(bare, "qvm-borg-enroll", QUBE)
    bare.exec(QUBE, ["rm", LETTER], check=True)
    person.runs(bare, "qvm-borg-restore", QUBE, LETTER, "--in-place", "--yes")
    assert bare.exec(QUBE, ["cat", LETTER], check=True).stdout == b"dear\n"

    person.runs(bare, "qvm-borg-revoke", QUBE)
    place.qubesctl(bare, "--skip-dom0", f"--targets={TEMPLATE}", "state.sls", "qubes-borg.remove")
    place.qubesctl(bare, "top.enable", "qubes-borg")
    erased = bare.exec("dom0", [*place.RPM.split(), "--erase", "qubes-borg-dom0"], user="root",
                       check=True)  # fmt: skip

    for word in (b"the maintenance qube", b"x-qborg*", b"service.crond", b"qubes-borg/packages"):
        assert word in erased.stdout
    assert {line.partition(":")[0] for line in state.changes(before, state.qubesd(bare))} == KEPT
    folder = PurePath("/srv/salt/qubes-borg")
    assert {path for path in ours(bare, "dom0") if path.parent != folder / "packages"} == {folder}
    # The top that was enabled went too: else qubesctl would fail for every qube from now on.
    place.qubesctl(bare, "--skip-dom0", f"--targets={TEMPLATE}", "test.ping")
    bare.do("shutdown", QUBE)
    assert not ours(bare, QUBE) and not ours(bare, TEMPLATE)
    for qube, kept in KEPT_FILES.items():
        more = listed(bare, qube) - files[qube] - packaged(bare, qube)
        more = {path for path in more if "__pycache__" not in path}
        assert not [path for path in more if not re.fullmatch(kept, path)], qube
        less = {path for path in files[qube] - listed(bare, qube)
                if not re.search("__pycache__|qubes-borg|qvm-borg", path)}
        assert not less, qube
