"""The qubes that a run makes, and what it writes into dom0: noted before, removed after.

Runs in dom0. Only what the note names is ever removed, and it is written before anything is made.
"""

import json
import time
from pathlib import Path
from typing import Any

try:
    import qubesadmin
    from qubesadmin.exc import QubesException
except ImportError:
    qubesadmin, QubesException = None, OSError

WORK, VAULT, KEEPER = "qborg-test-work", "qborg-test-vault", "qborg-test-keeper"
WORKER = "borg-worker"  # made by the commands for a proof
MACHINE = "qborgtest"  # this computer in the names of repositories
_OURS = "x-qborg"  # begins each feature that the commands give dom0, and is that of a client
_SETTINGS = Path(".config/qubes-borg/settings.toml")
_NOTE = Path(".local/state/qubes-borg-on-qubes.json")
_STOPPING = 120.0  # seconds until a qube that shuts down is killed


class NotPossible(Exception):
    """This machine is not for it: one line why, one line what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Machine:
    """The machine as qubesd tells it; raises NotPossible where there is none."""

    def __init__(self) -> None:
        if qubesadmin is None:
            raise NotPossible("there is no qubesadmin here", "run this in dom0, as its user")
        self.app: Any = qubesadmin.Qubes()
        self._note = Path.home() / _NOTE

    def must_be_untouched(self) -> None:
        """Raise NotPossible if this machine is in use, or an earlier run has left something."""
        if self._note.exists():
            raise NotPossible("an earlier run has left something", "run it with --clean first")
        if (Path.home() / _SETTINGS).exists() or self._features():
            raise NotPossible("qubes-borg is set up here, and this must not touch your backups",
                              "use a machine, or an installation of Qubes, that has no set-up")
        taken = [name for name in (WORK, VAULT, KEEPER, WORKER) if name in self.app.domains]
        if taken:
            raise NotPossible(f"there is a qube named {taken[0]}", "it is not removed for this")

    def template(self, given: str | None) -> str:
        """Answer the name of the template of the qubes."""
        return given or str(self.app.default_template)

    def make(self, template: str, netvm: str | None, salt: bool) -> None:
        """Make the qube to be backed up and the vault, both halted; raises NotPossible."""
        if salt and template in self.app.domains and not self.app.domains[template].is_halted():
            raise NotPossible(f"{template} runs, and no qube would see what Salt installs in it",
                              f"`qvm-shutdown --wait {template}` first")
        self._write({})
        try:
            for name in (WORK, VAULT):
                self.app.add_new_vm("AppVM", name, "red", template)
                self.take(name)
            self.app.domains[VAULT].netvm = None
            if netvm:
                self.app.domains[WORK].netvm = netvm
        except (QubesException, KeyError) as error:
            raise NotPossible(f"the qubes cannot be made: {error}",
                              "see --template and --netvm") from error

    def take(self, name: str) -> None:
        """Note a qube, as it is now, as one of this run's."""
        self.app.domains.clear_cache()
        self._write({**self._noted(), name: self.uuid(name)})

    def _write(self, noted: dict[str, str]) -> None:
        self._note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._note.with_suffix(".new")
        beside.write_text(json.dumps(noted), encoding="ascii")
        beside.replace(self._note)

    def _noted(self) -> dict[str, str]:
        try:
            found = json.loads(self._note.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _features(self) -> list[str]:
        """Answer the features that a set-up has given dom0."""
        return [name for name in self.app.domains["dom0"].features if name.startswith(_OURS)]

    def start(self, name: str) -> None:
        """Start a qube of this run's."""
        self.app.domains[name].start()

    def uuid(self, name: str) -> str:
        """Answer what dom0 knows a qube by."""
        return str(self.app.domains[name].uuid)

    def rules(self, name: str) -> list[str]:
        """Answer the rules of a qube's firewall, the first one first."""
        self.app.domains.clear_cache()  # a command may have made it since
        told = self.app.domains[name].qubesd_call(None, "admin.vm.firewall.Get")
        return str(told.decode("ascii", "replace")).splitlines()

    def shell(self, name: str, script: str) -> str:
        """Run a shell's lines in a running qube as its user; answers what they print."""
        vm = self.app.domains[name]
        out, _errors = vm.run_service_for_stdio(
            "qubes.VMShell", input=f"set -e\n{script}\nexit 0\n".encode(), timeout=300)
        return str(out.decode("utf-8", "replace"))

    def remove(self, name: str) -> None:
        """Remove a qube of this run's, running or not, if there is one; others are left alone."""
        self.app.domains.clear_cache()
        if name not in self.app.domains or not self._is_ours(name):
            return
        vm = self.app.domains[name]
        deadline = time.monotonic() + _STOPPING
        if not vm.is_halted():
            vm.shutdown(force=True)
        while not vm.is_halted() and time.monotonic() < deadline:
            time.sleep(0.5)
        if not vm.is_halted():
            vm.kill()
        del self.app.domains[name]

    def _is_ours(self, name: str) -> bool:
        """Tell whether the note, or a command of this run that was cut, has made that very qube."""
        vm, dom0 = self.app.domains[name], self.app.domains["dom0"].features
        said = {dom0[feature] for feature in self._features()} if self._is_our_set_up() else set()
        enrolled = f'"{MACHINE}-' in str(vm.features.get(_OURS, ""))
        return enrolled or str(vm.uuid) in {self._noted().get(name), *said} or (
            f"creating:{name}" in said)

    def _is_our_set_up(self) -> bool:
        """Tell whether dom0's settings are this run's, or none are written yet."""
        try:
            text = (Path.home() / _SETTINGS).read_text(encoding="ascii")
        except FileNotFoundError:
            return True
        return f'machine = "{MACHINE}"\n' in text

    def clean(self) -> bool:
        """Remove what a run has made, and nothing else; answers whether that is done."""
        if not self._note.exists():
            print("there is nothing to remove")
            return True
        left, ours = [], self._is_our_set_up()
        for name in (WORKER, WORK, KEEPER, VAULT):
            try:
                self.remove(name)
            except (QubesException, KeyError) as error:
                left.append(f"{name}: {error}")
        for feature in self._features() if ours and not left else ():
            try:
                del self.app.domains["dom0"].features[feature]
            except (QubesException, KeyError) as error:
                left.append(f"dom0's {feature}: {error}")
        if left:
            print("could not be removed, run it with --clean again:", *left, sep="\n  ")
            return False
        if ours:
            (Path.home() / _SETTINGS).unlink(missing_ok=True)
        self._note.unlink()
        print("the qubes, dom0's features and the settings of this run are removed")
        return True
