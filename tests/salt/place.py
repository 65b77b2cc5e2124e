"""The world of these tests: templates that have nothing of ours, and what manages them by Salt.

Runs on the host. What stands for parts of Qubes lies in qubes/; Salt is the real one of .venv/salt.
"""

import json
from pathlib import Path

import pytest

from lab import Lab
from salt import debs

HERE = Path(__file__).resolve().parent
QUBES = HERE / "qubes"
SITE = HERE.parents[1] / ".venv/salt/lib"
REPOSITORY = "/var/lib/lab-debs"
RPM = "rpm --dbpath /var/lib/rpm"  # Debian's has its database elsewhere
_SALT = "$ROOT/usr/lib/lab-salt"
_PROGRAM = r"""#!/usr/bin/python3 -I
import sys; sys.path.insert(0, "/usr/lib/lab-salt/site")
from salt.scripts import {0}; sys.exit({0}())
"""
# The archive that salt-ssh brings into a qube, and would make anew in each disposable.
_THIN = """import sys; sys.path.insert(0, "/usr/lib/lab-salt/site")
from salt.utils import thin; thin.gen_thin("/var/cache/salt/master")"""


_ROOT_SHELL = (
    "printf '#!/bin/sh\\nexec /bin/bash\\n' > $ROOT/etc/qubes-rpc/qubes.VMRootShell",
    "chmod 755 $ROOT/etc/qubes-rpc/qubes.VMRootShell",
)


def _installs(mode: str, folder: str, *names: str) -> str:
    files = " ".join(str(QUBES / name) for name in names)
    return f"install -D -m {mode} -t $ROOT{folder} {files}"


def _salt(*programs: str) -> list[str]:
    """The lines that bring Salt into a machine."""
    lines = [f"mkdir -p {_SALT}", f"cp -r {SITE}/python3*/site-packages {_SALT}/site",
             f"rm -rf {_SALT}/site/pip {_SALT}/site/setuptools {_SALT}/site/pkg_resources",
             f"find {_SALT}/site -name __pycache__ -prune -exec rm -rf {{}} +",
             f"cat {QUBES}/python313.py >> {_SALT}/site/salt/utils/url.py"]  # fmt: skip
    for name in programs:
        path, text = f"{_SALT}/{name}", _PROGRAM.format(name.replace("-", "_"))
        lines.append(f"printf '%s' '{text}' > {path} && chmod 755 {path}")
    return lines


def _bare(repository: Path) -> list[str]:
    """The lines that make a template one without our needs, and with a repository that has them."""
    return [
        f"chroot $ROOT dpkg --purge {' '.join((*debs.PURGED, *debs.PURGED_FOR_GOOD))}",
        "rm -rf $ROOT/etc/cron* $ROOT/var/spool/cron",
        f"cp -r {repository} $ROOT{REPOSITORY}",
        f"echo 'deb [trusted=yes] file:{REPOSITORY} ./' > $ROOT/etc/apt/sources.list",
        f"install -D -m 755 {QUBES}/count $ROOT/etc/qubes/post-install.d/99-count.sh",
        *_ROOT_SHELL,
        _installs("755", "/usr/local/bin", "systemctl", "systemd-run"),
    ]


def _managing() -> list[str]:
    """The lines that make a template one for management disposables."""
    return [
        *_salt("salt-ssh"),
        # A disposable forgets; without bytecode each run of Salt there takes much longer.
        "chroot $ROOT python3 -m compileall -q /usr/lib/lab-salt/site",
        f"chroot $ROOT python3 -I -c '{_THIN}'",
        _installs("755", "/etc/qubes-rpc", "qubes.SaltLinuxVM"),
        *_ROOT_SHELL,
        _installs("755", "/usr/lib/lab-salt/wrapper", "ssh"),
        f"ln -s ssh {_SALT}/wrapper/scp",
    ]


def _dom0(package: Path) -> list[str]:
    """The lines that install our package in dom0, and what Qubes has there of Salt."""
    return [
        f"cp -r {debs.fetched(debs.OF_DOM0)} $ROOT/var/tmp/debs",
        "chroot $ROOT sh -c 'dpkg --install /var/tmp/debs/*.deb'",
        f"cp {package} $ROOT/var/tmp/ours.rpm",
        # Of Fedora's packages that it asks for there are Debian's.
        f"chroot $ROOT {RPM} --nodeps --install /var/tmp/ours.rpm",
        "rm -rf $ROOT/var/tmp/debs $ROOT/var/tmp/ours.rpm $ROOT/dev/null",
        # As Qubes has it for dom0's user.
        "printf 'user ALL=(ALL) NOPASSWD: ALL\\n' > $ROOT/etc/sudoers.d/qubes",
        "chmod 440 $ROOT/etc/sudoers.d/qubes",
        *_salt("salt-call"),
        _installs("755", "/usr/bin", "qubesctl", "qvm-ls", "qvm-features"),
        _installs("644", "/etc/salt", "minion"),
        f"install -D -m 644 {QUBES}/top.py $ROOT/srv/salt/top.sls",
        f"cp -r {QUBES}/modules {QUBES}/states {QUBES}/pillar {_SALT}/",
        "mkdir -p $ROOT/srv/pillar",
    ]


def world(folder: Path, factory: pytest.TempPathFactory) -> Path:
    """Write the world file; answers it. Our packages are in FOLDER/ours and in one repository."""
    ours, of_qubes = debs.ours(folder / "ours", factory), debs.of_qubes(folder / "qubes")
    fetched = debs.fetched(debs.PURGED)
    templates = {
        "debian-13": _bare(debs.repository(folder / "first", fetched, of_qubes)),
        "debian-13-minimal": _bare(debs.repository(folder / "second", fetched, of_qubes, ours)),
        "debian-13-mgmt": _managing(),
    }
    lines = ["[server]", 'host = "backup.example"', 'address = "198.51.100.10"',
             'user = "zh1234"', 'borg = ["borg14", "borg12"]', "[dom0]",
             f"install = {json.dumps(_dom0(debs.of_dom0(factory)))}"]  # fmt: skip
    for name, install in templates.items():
        lines += [f"[templates.{name}]", f"install = {json.dumps(install)}"]
    path = folder / "world.toml"
    path.write_text("\n".join(lines) + "\n" + (HERE / "qubes.toml").read_text(encoding="ascii"),
                    encoding="utf-8")  # fmt: skip
    return path


def prepare(lab: Lab, packages: Path) -> None:
    """Have a management disposable's template, our packages in dom0, and templates that boot."""
    code = "import qubesadmin; qubesadmin.Qubes().management_dispvm = 'default-mgmt-dvm'"
    lab.run(["/usr/bin/python3", "-c", code], check=True)
    # As in Qubes, where its people read nothing there without root.
    lab.exec("dom0", ["/usr/bin/install", "-d", "-m", "750", "/srv/salt"], user="root", check=True)
    for path in packages.glob("*.deb"):
        lab.exec("dom0", ["/usr/bin/install", "-D", "-m", "644", "/dev/stdin",
                          f"/srv/salt/qubes-borg/packages/{path.name}"],
                 user="root", input=path.read_bytes(), check=True)  # fmt: skip
    for name in ("debian-13", "debian-13-minimal"):
        # What says that systemd runs; without it Salt has no service to speak of.
        script = "#!/bin/sh\nmkdir -p /run/systemd/system\n"
        lab.do("start", name)
        lab.exec(name, ["/usr/bin/install", "-D", "-m", "755", "/dev/stdin",
                        "/rw/config/rc.local.d/systemd.rc"],
                 user="root", input=script.encode(), check=True)  # fmt: skip
        lab.do("shutdown", name)


def awake(lab: Lab, qube: str) -> Lab:
    """Have a qube running; answers its lab."""
    if lab.qubes()[qube]["state"] != "Running":
        lab.do("start", qube)
    return lab


def qubesctl(lab: Lab, *words: str, code: int = 0) -> str:
    """Run qubesctl in dom0 as root and answer what it printed; its exit code must be CODE."""
    done = lab.exec("dom0", ["/usr/bin/qubesctl", *words], user="root", timeout=1500)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == code, f"exit code {done.returncode}, not {code}:\n{said}"
    return said
