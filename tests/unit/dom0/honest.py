"""A set-up machine whose services all answer as agreed, and remember what was asked of them.

A test changes one answer in `answers`, or one trait of a qube, and sees what dom0 makes of it.
"""

import hashlib
import json
from pathlib import Path

from qborg_wire import endpoint
from qborg_wire.names import fingerprint
from qvm_borg import manifest, settings, vault
from qvm_borg.enroll import enroll
from qvm_borg.qubes import Qube, System
from qvm_borg.report import Report
from qvm_borg.session import Session
from unit.dom0.machine import Actions, App, Vm, answer

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
HOST_KEY = "SHA256:" + "h" * 43
FINGERPRINT, LISTS = fingerprint(KEY), {"older": "none", "missing": "none"}
SETTINGS = settings.Settings(
    "qubes", "00112233445566778899aabbccddeeff", "zh1", "backup.example", "22", HOST_KEY, "borg14")
SERVICES_OF_TEMPLATE = (
    "CheckSetup", "InstallBundle", "StoreRecord", "AcceptRecord", "ReceiveFiles")


def evidence(name: str = "qubes-work", **changes: str) -> str:
    """Answer the word that the maintenance qube says of a repository, less what is changed."""
    good = {"origin": "made", "fingerprint": FINGERPRINT, "key": "2" * 64, "transaction": "9",
            "time": "1700000100", "size": "3984", "grown": "1718", "found": "fine"}
    assert changes.keys() <= good.keys()
    return ",".join((name, *{**good, **changes}.values()))


class Honest:
    """The handler of a machine. `answers` overrides what a service says, `values` its fields."""

    def __init__(self, policy: Path) -> None:
        self.policy = policy
        self.answers: dict[str, Actions] = {}
        self.values: dict[str, dict[str, str]] = {}
        self.bundle: dict[str, str] = {}
        self.endpoint = "none"
        self.made: set[str] = set()
        self.kept: dict[str, str] = {}  # in the vault
        self.renewed: dict[str, str] = {}  # what a qube that goes on will send there
        self.came: set[str] = set()  # accounts, to a maintenance qube
        self.forgotten: set[str] = set()
        self.cron: set[str] = set()
        self.backed_up: set[str] = set()
        self.revoked: set[str] = set()
        self.keys: dict[str, str] = {}  # that clients made
        self.registered: list[str] = []  # keys, by each call
        self.encryption = "repokey-blake2"  # of every repository
        self.exported: dict[str, str] = {}  # digests of repositories' keys
        self.rotates: set[str] = set()  # qubes with a bundle in preparation
        self.published = False  # since a key was revoked
        self.fate = "kept"  # of a revoked repository
        self.gates: list[str] = []
        self.accepts = True  # the server, the admin key
        self.users: dict[str, str] = {}  # a program that somebody runs in a qube
        self.manifest: str | None = None  # in the last archive
        self.app = App(self.handle)
        template = self.app.domains.all["debian-13"]
        for name in SERVICES_OF_TEMPLATE:
            template.features.own[f"supported-rpc.qborg.{name}"] = "1"

    def qube(self, name: str, state: str = "Running") -> Vm:
        """Make a qube on the template that has our services."""
        vm = self.app.add(name, "AppVM", state)
        vm.features.of_template = dict(self.app.domains.all["debian-13"].features.own)
        return vm

    def set_up(self) -> Vm:
        """Make the maintenance qube in its role and dom0's settings; answers the qube."""
        settings.store(SETTINGS)
        vm = self.qube("borg-maintenance", "Halted")
        vm.features.own["service.qborg-maintenance"] = "1"
        self.app.domains.all["dom0"].features.own["x-qborg-maintenance"] = str(vm.uuid)
        return vm

    def vault(self) -> Vm:
        """Make the vault in its role; answers the qube."""
        vm = self.qube("vault", "Halted")
        vm.netvm = None
        vm.features.own["service.qborg-vault"] = "1"
        self.app.domains.all["dom0"].features.own["x-qborg-vault"] = str(vm.uuid)
        self.qube("default-dvm", "Halted").template_for_dispvms = True
        self.app.default_dispvm = "default-dvm"
        return vm

    def session(self) -> Session:
        """Answer a session on this machine."""
        return Session(System(self.app), Report(), self.policy)

    def handle(self, vm: Vm, service: str, argument: str) -> Actions:
        """Answer what a service does when it is called."""
        if (file := self.policy / "69-qborg-gate.policy").exists():
            self.gates.append(file.read_text(encoding="ascii"))
        if service in self.answers:
            return self.answers[service]
        return answer(**getattr(self, f"_{service}")(vm, argument) | self.values.get(service, {}))

    def _once(self, what: str) -> str:
        new = what not in self.made
        self.made.add(what)
        return "yes" if new else "no"

    def _CheckSetup(self, _vm: Vm, _argument: str) -> dict[str, str]:
        login, name, version = ("ok", "borg14", "1.4.0") if self.accepts else (
            "refused", "none", "none")
        return {"admin_key": KEY, "host_key": HOST_KEY, "login": login, "remote_borg": name,
                "borg": version, "epoch": "1", "occupied": "none", "revoked": "none",
                "provider": "generic", "access": "shell", "keys": "ours", "snapshots": "unknown"}

    def _FirstLogin(self, _vm: Vm, _argument: str) -> dict[str, str]:
        before, self.accepts = self.accepts, True
        return {"installed": "no" if before else "yes"}

    def _MakeKeys(self, _vm: Vm, argument: str) -> dict[str, str]:
        return {"public_key": KEY, "fingerprint": FINGERPRINT,
                "created": self._once(f"key {argument}"), "quota": "none", "origin": "made",
                "secrets": "forgotten" if argument in self.forgotten else "kept"}

    def _PrepareBundle(self, vm: Vm, argument: str) -> dict[str, str]:
        pending = argument not in self.bundle or vm.name in self.rotates
        return {"public_key": self.keys.get(argument, KEY),
                "fingerprint": fingerprint(self.keys.get(argument, KEY)),
                "created": self._once(f"key {argument}") if pending else "no",
                "state": "pending" if pending else "installed"}

    def _OpenRepository(self, vm: Vm, argument: str) -> dict[str, str]:
        return self._InitRepository(vm, argument)

    def _SubmitRecord(self, vm: Vm, argument: str) -> dict[str, str]:
        self.kept.update(self.renewed)
        return self._SendRecord(vm, argument)

    def _AdoptBundle(self, vm: Vm, argument: str) -> dict[str, str]:
        self.rotates.discard(vm.name)
        return self._SendBundle(vm, argument)

    def _RegisterKey(self, _vm: Vm, argument: str) -> dict[str, str]:
        key = self.keys.get(argument, KEY)
        self.registered.append(key)
        # The birth is noted by the second call of a first key, a next key settled by its third.
        new = "yes" if self.registered.count(key) in (1, 2 if key == KEY else 3) else "no"
        return {"fingerprint": fingerprint(key), "changed": new, "quota": "none", "leaked": "no"}

    def _PublishKeys(self, _vm: Vm, _argument: str) -> dict[str, str]:
        self.published = True
        return {"epoch": "2", "keys": "1",
                "changed": self._once(f"publish {sorted(self.revoked)}"), "digest": "d" * 64,
                "awaited": "none"}

    def _RevokeKeys(self, _vm: Vm, argument: str) -> dict[str, str]:
        known = f"key {argument}" in self.made
        finishes = known and argument in self.revoked and self.published
        if known and not finishes:
            self.revoked.add(argument)
            self.published = False
        new = known and self._once(f"{'put away' if finishes else 'revoked'} {argument}") == "yes"
        kept = finishes and argument not in self.forgotten
        return {"public_key": KEY if known else "none",
                "fingerprint": FINGERPRINT if known else "none", "quota": "none",
                "changed": "yes" if new else "no", "key": "refused" if finishes else "unasked",
                "secrets": "kept" if kept else "none", "repository": self.fate}

    def _RemoveBundle(self, _vm: Vm, argument: str) -> dict[str, str]:
        there = self.bundle.pop(argument, None) is not None
        return {"changed": "yes" if there else "no", "settings": "removed" if there else "none"}

    def _InitRepository(self, _vm: Vm, argument: str) -> dict[str, str]:
        return {"repository_id": "1" * 64, "key_digest": self.exported.get(argument, "2" * 64),
                "created": self._once(f"repository {argument}"), "encryption": self.encryption}

    def _SendRecord(self, _vm: Vm, argument: str) -> dict[str, str]:
        new = argument not in self.kept
        digest = self.kept.setdefault(argument, hashlib.sha256(argument.encode()).hexdigest())
        return {"record": digest, "changed": "yes" if new else "no"}

    def _DescribeRecord(self, _vm: Vm, argument: str) -> dict[str, str]:
        known = self.kept.get(argument, "none")
        key = "none" if known == "none" else self.exported.get(argument, "2" * 64)
        return {"record": known, "key": key, "made": str(int(known != "none")), "versions": "1",
                "damaged": "no"}

    def _CopyRecord(self, _vm: Vm, argument: str) -> dict[str, str]:
        key = self.exported.get(argument, "2" * 64)
        return {"record": "6" * 64, "key": key, "changed": self._once(f"copy {argument}")}

    def _PrintKit(self, _vm: Vm, _argument: str) -> dict[str, str]:
        return dict(file="qubes-borg-kit/kit-2026-11-28", repositories="1", pages="3", **LISTS)

    def _ForgetSecrets(self, _vm: Vm, argument: str) -> dict[str, str]:
        new = argument not in self.forgotten
        self.forgotten.add(argument)
        return {"changed": "yes" if new else "no"}

    def _SendBundle(self, _vm: Vm, argument: str) -> dict[str, str]:
        known = settings.load()
        assert known is not None
        self.bundle[argument] = "b" * 64
        self.endpoint = endpoint.digest(
            known.host, known.port, known.account, known.host_key, known.remote_borg)
        return {"bundle": "b" * 64, "changed": self._once(f"bundle {argument}"), "aside": "no"}

    def _DescribeClient(self, vm: Vm, _argument: str) -> dict[str, str]:
        repository = f"qubes-{vm.name}"
        there = repository in self.bundle
        return {
            "qube": vm.name, "borg": "1.4.0", "borgmatic": "1.9.14",
            "cron": "running" if vm.name in self.cron else "stopped", "server": "reachable",
            "host_key": HOST_KEY, "repository": repository if there else "none",
            "bundle": self.bundle[repository] if there else "none",
            "endpoint": self.endpoint if there else "none",
            "last_success": "1700000000" if vm.name in self.backed_up else "0",
            "last_outcome": "ok" if vm.name in self.backed_up else "never",
        }

    def _StartSchedule(self, vm: Vm, _argument: str) -> dict[str, str]:
        self.cron.add(vm.name)
        return {"cron": "running"}

    def _RunBackup(self, vm: Vm, _argument: str) -> dict[str, str]:
        self.backed_up.add(vm.name)
        self.manifest = manifest.of(Qube(vm))
        return {"archive": "work-2026-01-31T10:17:00", "files": "12", "bytes": "34567",
                "sent": "2345", "warnings": "0", "proof": "f" * 64}

    def _DescribeUse(self, vm: Vm, _argument: str) -> dict[str, str]:
        return {"used_by": self.users.get(vm.name, "none")}

    def _ProveBundle(self, _vm: Vm, _argument: str) -> dict[str, str]:
        return {"proof": "f" * 64}

    def _DescribeAccount(self, _vm: Vm, _argument: str) -> dict[str, str]:
        return {**{name: getattr(SETTINGS, name) for name in settings.PATTERNS}, "epoch": "2",
                "record": self.kept["qubes-borg-maintenance"],
                "maintenance": "borg-maintenance", "damaged": "no"}

    def _ExpectAccount(self, vm: Vm, _argument: str) -> dict[str, str]:
        return {"account": "here" if str(vm.uuid) in self.came else "expected"}

    def _ReleaseRecord(self, _vm: Vm, argument: str) -> dict[str, str]:
        if argument == "qubes-borg-maintenance":
            self.came.add(str(self.app.domains.all["borg-maintenance"].uuid))
        return {"record": self.kept[argument]}

    def _ObserveServer(self, _vm: Vm, _argument: str) -> dict[str, str]:
        key = "2" * 64 if self.encryption == "repokey-blake2" else "none"
        return {"evidence": evidence(key=key)}

    def _RepairKey(self, _vm: Vm, argument: str) -> dict[str, str]:
        return {"record": self.kept[argument], "changed": self._once(f"repair {argument}")}

    def _RenameBorg(self, _vm: Vm, argument: str) -> dict[str, str]:
        known = settings.load()
        assert known is not None
        self.bundle[argument] = "c" * 64
        self.endpoint = endpoint.digest(
            "backup.example", known.port, known.account, known.host_key, known.remote_borg)
        return {"bundle": "c" * 64, "changed": self._once(f"borg {known.remote_borg}")}

    def _LendRepository(self, _vm: Vm, _argument: str) -> dict[str, str]:
        return {"lent": "yes"}

    def _ProveRecord(self, _vm: Vm, argument: str) -> dict[str, str]:
        return {"archives": "1", "proof": "f" * 64, "record": self.kept[argument],
                "manifest": "none" if self.manifest is None else manifest.digest(self.manifest)}

    def _ReadManifest(self, _vm: Vm, argument: str) -> dict[str, str]:
        return {"archive": "work-2026-01-31T10:17:00",
                "manifest": "none" if self.manifest is None else json.dumps(self.manifest),
                "record": self.kept[argument]}

    def _ListArchives(self, _vm: Vm, _argument: str) -> dict[str, str]:
        return {"archives": '[{"name":"work-2026-01-31T10:17:00","time":1769854620},'
                            '{"name":"work-notes","time":1769000000}]', "more": "3"}

    def _ListFiles(self, _vm: Vm, _argument: str) -> dict[str, str]:
        return {"archive": "work-2026-01-31T10:17:00", "files": "2", "bytes": "3", "there": "1",
                "names": r'["/home/user/a/","/home/user/a/\u001b[2J\udcff"]', "more": "0"}

    def _ReceiveFiles(self, _vm: Vm, argument: str) -> dict[str, str]:
        return {**self._RestoreFiles(_vm, argument), "record": self.kept[argument]}

    def _RestoreFiles(self, _vm: Vm, _argument: str) -> dict[str, str]:
        return {"archive": "work-2026-01-31T10:17:00", "files": "2", "bytes": "3",
                "warnings": "0"}


def run(machine: Honest, *names: str, dry_run: bool = False, escrow: bool = False) -> list[str]:
    """Enrol `work`, or the named qubes; answers what was done, in order."""
    machine.app.trace.clear()
    session = machine.session()
    enroll(session, names or ["work"], dry_run,
           keeper=vault.required(session.system) if escrow else None)
    return list(machine.app.trace)
