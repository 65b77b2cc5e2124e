"""What each target of make needs of a machine: Debian packages, .venv, the lab's tree.

Runs on a developer's host with nothing but Python; bootstrap.py installs what is missing.
"""

import importlib.util
import shutil
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Package:
    """A Debian package and what shows that it is there: programs, a module, a library, a file."""

    name: str
    programs: tuple[str, ...] = ()
    module: str | None = None
    library: str | None = None
    file: str | None = None

    def present(self) -> bool:
        """Answer whether all that the package is wanted for can be found."""
        found = all(shutil.which(program, path=SYSTEM_PATH) for program in self.programs)
        found = found and (self.module is None or importlib.util.find_spec(self.module) is not None)
        found = found and (self.library is None or find_library(self.library) is not None)
        return found and (self.file is None or Path(self.file).exists())


TEST_PACKAGES = (
    Package("python3-venv", module="ensurepip"),
    Package("openssh-client", ("ssh", "ssh-keygen")),
    Package("git", ("git",)),
    Package("mandoc", ("mandoc",)),
)
LAB_PACKAGES = (
    Package("uidmap", ("newuidmap", "newgidmap")),
    Package("mmdebstrap", ("mmdebstrap",)),
    Package("iproute2", ("ip",)),
    Package("make", ("make",)),
    Package("util-linux", ("unshare",)),
)
# To print the recovery kit, in the font that it asks for and in a wider one, and to read it.
KIT_PACKAGES = (
    Package("fonts-dejavu-core", file="/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    Package("fonts-liberation",
            file="/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf"),
    Package("libpangoft2-1.0-0", library="pangoft2-1.0"),
    Package("libharfbuzz-subset0", library="harfbuzz-subset"),
    Package("poppler-utils", ("pdftoppm", "pdftotext")),
    Package("qrencode", ("qrencode",)),
    Package("zbar-tools", ("zbarimg",)),
)
LAB_TEST_PACKAGES = (
    Package("scrypt", ("scrypt",)),
    Package("keepassxc", ("keepassxc-cli",)),
    Package("procps", ("pgrep",)),
    Package("strace", ("strace",)),
)
# No compiler: see rpm_spec/build.py.
DEB_PACKAGES = (Package("debhelper", ("dh",)), Package("dh-python", ("dh_python3",)),
                Package("dpkg-dev", ("dpkg-buildpackage",)), Package("make", ("make",)))
RPM_PACKAGES = (Package("make", ("make",)), Package("rpm", ("rpm", "rpmbuild")))
LINT_PACKAGES = (Package("lintian", ("lintian",)), Package("rpmlint", ("rpmlint",)),
                 Package("gnupg", ("gpg",)))  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """What one make target needs."""

    packages: tuple[Package, ...]
    venv: bool
    lab: bool


GOALS = {
    "bench": Goal((*LAB_PACKAGES, Package("scrypt", ("scrypt",))), venv=False, lab=True),
    "check": Goal(TEST_PACKAGES, venv=True, lab=False),
    "deb": Goal(DEB_PACKAGES, venv=False, lab=False),
    "demo": Goal(LAB_PACKAGES, venv=False, lab=True),
    "fuzz": Goal(TEST_PACKAGES, venv=True, lab=False),
    "rpm": Goal(RPM_PACKAGES, venv=False, lab=False),
    "test": Goal(tuple(dict.fromkeys((
        *TEST_PACKAGES, *LAB_PACKAGES, *LAB_TEST_PACKAGES, *KIT_PACKAGES, *DEB_PACKAGES,
        *RPM_PACKAGES, *LINT_PACKAGES))), venv=True, lab=True),
}
