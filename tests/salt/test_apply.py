"""The states for real: by salt-ssh from a management disposable, through qrexec, in templates.

The templates have Debian's packages in a folder, and none of what the states install. Each test
begins where all roles are installed, or where a qube on that template is enrolled.
"""

import re

from lab import Lab
from salt import place
from scenarios import person

TEMPLATE, MINIMAL = "debian-13", "debian-13-minimal"
ROLES = ("client", "maintenance", "vault", "worker")
NEEDS = {"borgbackup", "borgmatic", "cron", "openssh-client", "qrencode", "python3-pexpect",
         "python3-jinja2"}  # fmt: skip
OURS = {f"qubes-borg-{role}" for role in ("common", *ROLES)}
UNIT = "/etc/systemd/system/borgmatic.timer"


def says(lab: Lab, qube: str, *command: str) -> str:
    """Run a command as root in a qube, which must succeed, and answer what it prints."""
    return lab.exec(qube, list(command), user="root", check=True).stdout.decode()


def packages(lab: Lab, template: str) -> set[str]:
    """Answer the packages in a template that are there in any way, configuration too."""
    form = "${db:Status-Status} ${Package}\n"
    listed = says(place.awake(lab, template), template, "dpkg-query", "-W", "-f", form)
    return {line.split()[1] for line in listed.splitlines() if not line.startswith("not-")}


def offered(lab: Lab, template: str) -> set[str]:
    """Answer the services of ours that dom0 knows a template to offer."""
    code = f"import qubesadmin; print(*qubesadmin.Qubes().domains['{template}'].features)"
    told = lab.run(["/usr/bin/python3", "-c", code], check=True).stdout.decode().split()
    return {each for each in told if re.match(r"supported-(rpc\.qborg\.|service\.crond$)", each)}


def services_of(lab: Lab, qube: str) -> dict[str, str]:
    """Answer the services that dom0 has switched on or off for a qube."""
    code = f"import qubesadmin; print(*qubesadmin.Qubes().domains['{qube}'].features.items())"
    told = lab.run(["/usr/bin/python3", "-c", code], check=True).stdout.decode()
    return dict(re.findall(r"\('service\.([a-z-]+)', '(1?)'\)", told))


def set_feature(lab: Lab, qube: str, feature: str, value: str | None) -> None:
    """Set a feature in dom0, or take it away."""
    change = f"f[{feature!r}] = {value!r}" if value is not None else f"del f[{feature!r}]"
    code = f"import qubesadmin; f = qubesadmin.Qubes().domains[{qube!r}].features; {change}"
    lab.run(["/usr/bin/python3", "-c", code], check=True)


def test_one_run_brings_all_that_a_template_needs(applied: str, installed: Lab) -> None:
    assert re.search(r"Succeeded: 14 \(changed=\d+\)\n +Failed: +0\n", applied), applied
    assert packages(installed, TEMPLATE) > NEEDS | OURS | {"qubes-core-agent-networking"}
    assert says(installed, TEMPLATE, "readlink", UNIT).strip() == "/dev/null"
    assert {"supported-service.crond", "supported-rpc.qborg.RunBackup",
            "supported-rpc.qborg.CheckSetup", "supported-rpc.qborg.StoreRecord",
            "supported-rpc.qborg.ProveRecord"} < offered(installed, TEMPLATE)  # fmt: skip
    assert says(installed, TEMPLATE, "cat", "/var/log/post-install").count("\n") >= len(ROLES)


def test_the_policy_is_closed_and_the_disposable_gone_afterwards(installed: Lab) -> None:
    assert "30-qubesctl" not in says(installed, "dom0", "ls", "-A", "/etc/qubes/policy.d")
    assert not [name for name in installed.qubes() if name.startswith("disp-mgmt")]


def test_a_second_run_changes_nothing(installed: Lab) -> None:
    said = place.qubesctl(
        installed, "--skip-dom0", f"--targets={TEMPLATE}", "--show-output", "state.apply")

    assert re.search(r"Succeeded: 14\n +Failed: +0\n", said), said
    assert "changed=" not in said


def test_a_qube_on_that_template_is_enrolled_and_backs_up(kept: str, enrolled: Lab) -> None:
    """With the vault and the worker, whose roles came the same way."""
    assert "work: a file was read back in a worker, with the vault's record alone" in kept
    assert "work: enrolled as qubes-work" in kept
    assert "work: archive work-" in person.runs(enrolled, "qvm-borg-backup", "work", timeout=900)


def test_enable_gives_back_what_an_enrolled_qube_needs(enrolled: Lab) -> None:
    """A qube that has another's record, or a text that is none, is not taken for enrolled."""
    code = "import qubesadmin; print(qubesadmin.Qubes().domains['work'].features['x-qborg'])"
    record = enrolled.run(["/usr/bin/python3", "-c", code], check=True).stdout.decode().strip()
    set_feature(enrolled, "personal", "x-qborg", record)
    set_feature(enrolled, "vault", "x-qborg", "'; reboot; {{ raise('x') }}")
    before = services_of(enrolled, "personal"), services_of(enrolled, "vault")
    set_feature(enrolled, "work", "service.crond", "")
    set_feature(enrolled, "work", "service.qborg-client", None)

    first = place.qubesctl(enrolled, "state.sls", "qubes-borg.enable")
    second = place.qubesctl(enrolled, "state.sls", "qubes-borg.enable")

    assert "Succeeded: 1 (changed=1)" in first and "Succeeded: 1\n" in second
    assert services_of(enrolled, "work") == {"crond": "1", "qborg-client": "1"}
    assert (services_of(enrolled, "personal"), services_of(enrolled, "vault")) == before


def test_a_template_gets_ours_from_a_repository_too(installed: Lab) -> None:
    """With nothing in the state tree, and by one state without any top."""
    says(installed, "dom0", "rm", "-r", "/srv/salt/qubes-borg/packages")

    said = place.qubesctl(installed, "--skip-dom0", f"--targets={MINIMAL}", "--show-output",
                          "state.sls", "qubes-borg.install-vault")  # fmt: skip

    assert re.search(r"Succeeded: 3 \(changed=3\)\n +Failed: +0\n", said), said
    there = packages(installed, MINIMAL)
    assert OURS & there == {"qubes-borg-common", "qubes-borg-vault"}
    assert NEEDS & there == {"openssh-client", "qrencode"}


def test_dom0_is_refused_where_skip_dom0_was_forgotten(installed: Lab) -> None:
    """qubesctl runs every command in dom0 first; the template is not reached then."""
    said = place.qubesctl(
        installed, f"--targets={TEMPLATE}", "state.sls", "qubes-borg.install-client", code=1)

    assert "nothing is installed in dom0 (type admin); use --skip-dom0" in said
    assert "DOM0 configuration failed, not continuing" in said


def test_a_top_that_leads_nowhere_fails_every_qube(installed: Lab) -> None:
    """The original copies what links of the tree lead to, and so does what stands for it here."""
    says(installed, "dom0", "ln", "-s", "/srv/salt/gone.top", "/srv/salt/_tops/user.top")

    said = place.qubesctl(installed, "--skip-dom0", f"--targets={MINIMAL}", "test.ping", code=1)

    assert f"{MINIMAL}: ERROR (exception" in said and "/srv/salt/_tops/user.top" in said
    assert not [name for name in installed.qubes() if name.startswith("disp-mgmt")]


def test_a_qube_that_would_forget_is_refused(installed: Lab) -> None:
    said = place.qubesctl(installed, "--skip-dom0", "--targets=personal", "--show-output",
                          "state.sls", "qubes-borg.install-client", code=20)  # fmt: skip

    assert "nothing is installed in personal (type app)" in said
    assert re.search(r"Succeeded: 0\n +Failed: +1\n", said), said


def test_the_set_up_has_salt_install_every_role(installed: Lab) -> None:
    """By dom0's own user, in a template that has none of it; again is no harm."""
    assert not offered(installed, MINIMAL)

    person.sets_up(installed, "--salt", MINIMAL, "--template", MINIMAL)

    assert packages(installed, MINIMAL) > NEEDS | OURS
    assert offered(installed, MINIMAL) == offered(installed, TEMPLATE)
    assert f"{MINIMAL} has our packages; shut it down" in person.runs(
        installed, "qvm-borg-setup", "--salt", MINIMAL)  # fmt: skip


def test_a_set_up_without_the_states_says_what_is_lacking(installed: Lab) -> None:
    says(installed, "dom0", "rm", "-r", "/srv/salt/qubes-borg")
    # As the package's removal does: what leads nowhere fails everything.
    says(installed, "dom0", "find", "/srv/salt/_tops", "-lname", "/srv/salt/qubes-borg/*",
         "-delete")  # fmt: skip

    said = person.is_refused(
        installed, "qvm-borg-setup", "--server", person.SERVER, "--salt", MINIMAL, code=22,
        says="services that it does not offer: qborg.InstallBundle qborg.CheckSetup")  # fmt: skip

    assert "/srv/salt/qubes-borg/packages" in said
    (log,) = re.findall(r"/var/log/\S+\.log", said)
    assert says(installed, "dom0", "cat", log)
    assert "borg-maintenance" not in installed.qubes()


def test_remove_takes_ours_away_and_names_nothing_else(enrolled: Lab) -> None:
    """The distribution's packages stay, and so does what an enrolled qube has in its home."""
    bundle = says(place.awake(enrolled, "work"), "work", "ls", "-lR", "/home/user/.ssh")
    crontab = says(enrolled, "work", "cat", "/var/spool/cron/crontabs/user")

    said = place.qubesctl(enrolled, "--skip-dom0", f"--targets={TEMPLATE}", "--show-output",
                          "state.sls", "qubes-borg.remove")  # fmt: skip

    assert re.search(r"Succeeded: 3 \(changed=3\)\n +Failed: +0\n", said), said
    there = packages(enrolled, TEMPLATE)
    assert not OURS & there and there > NEEDS
    left = says(enrolled, TEMPLATE, "find", "/etc", "/usr", "-xdev", "-name", "*qborg*",
                "-o", "-xdev", "-name", "qubes-borg*")  # fmt: skip
    assert not left
    assert not enrolled.exec(TEMPLATE, ["test", "-e", UNIT]).returncode == 0
    assert offered(enrolled, TEMPLATE) == {"supported-service.crond"}
    assert says(enrolled, "work", "ls", "-lR", "/home/user/.ssh") == bundle
    assert says(enrolled, "work", "cat", "/var/spool/cron/crontabs/user") == crontab
    assert services_of(enrolled, "work") == {"crond": "1", "qborg-client": "1"}
