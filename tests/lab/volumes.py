"""Storage of machines: root layers and private volumes with Qubes' persistence, and snapshots.

Runs in the supervisor. A root is an overlay: layers of the template, the lab's kit, the Debian
tree; only the newest part is writable. A private volume is a plain directory. It knows nothing
of processes or the API; the caller takes care that a volume is not in use.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import MachineError
from .trash import Trash

TEMPLATE_BASED = ("AppVM", "DispVM", "Server")
_COPY_SECONDS = 600


@dataclass(frozen=True)
class Storage:
    """What the agent mounts; paths but PRIVATE are relative to STATE, newest layer first."""

    state: str
    lower: list[str]
    upper: str
    work: str
    private: str | None
    volatile: bool


@dataclass
class _Revisions:
    """The kept revisions of one volume (ids oldest first)."""

    serial: int = 0
    kept: list[str] = field(default_factory=list)
    keep: int = 1

    def committed(self) -> None:
        """Note that the volume was committed once more."""
        self.serial += 1
        self.kept.append(str(self.serial))
        self.kept = self.kept[max(0, len(self.kept) - self.keep) :]


@dataclass
class _Meta:
    """One machine's storage as written in its meta.json; CHAIN is newest first."""

    klass: str
    template: str | None
    chain: list[str]
    private: _Revisions = field(default_factory=_Revisions)
    root: _Revisions = field(default_factory=_Revisions)
    content: int = 0


class Volumes:
    """The storage of every machine of one state directory."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._trash = Trash(state / "trash")
        self._meta: dict[str, _Meta] = {}
        self._counter = 0
        for name in ("vol", "layers", "mnt", "snapshots"):
            (state / name).mkdir(exist_ok=True)
        for path in sorted((state / "vol").glob("*/meta.json")):
            self._meta[path.parent.name] = _load(path)
        numbers = [int(p.name) for p in (state / "layers").iterdir() if p.name.isdigit()]
        self._counter = max([0, *numbers, *(meta.content for meta in self._meta.values())])

    def known(self, name: str) -> bool:
        """Tell whether NAME has storage."""
        return name in self._meta

    def is_persistent(self, name: str) -> bool:
        """Tell whether NAME is a qube that keeps its root, so that it is installed into."""
        return self._find(name).klass in ("TemplateVM", "StandaloneVM")

    def create(self, name: str, klass: str, template: str | None) -> None:
        """Make empty volumes; a StandaloneVM starts from its template's layers."""
        if name in self._meta:
            raise MachineError(f"{name} already has storage")
        chain = []
        if klass not in TEMPLATE_BASED and template is not None:
            chain = list(self._find(template).chain)
        directory = self._directory(name)
        (directory / "private").mkdir(parents=True)
        (directory / "root").mkdir(mode=0o755)
        self._meta[name] = _Meta(klass, template, chain, content=self._next())
        self._save(name)

    def remove(self, name: str) -> None:
        """Delete NAME's volumes."""
        self._find(name)
        del self._meta[name]
        self._trash.throw(self._directory(name))

    def prepare(self, name: str, template: str | None, clone_of: str | None) -> Storage:
        """Make NAME's volumes ready for a boot and return what is to be mounted."""
        meta = self._find(name)
        meta.content = self._next()
        directory = self._directory(name)
        volatile = meta.klass in TEMPLATE_BASED
        if volatile:
            self._renew(directory / "root")
        # A work directory of a volatile overlay cannot be used again.
        self._renew(directory / "work")
        if meta.klass == "DispVM":
            self._copy_tree(self._private_source(template, clone_of), directory / "private")
        chain = self._root_chain(template) if volatile else meta.chain
        kit = {"AdminVM": "kit/dom0", "Server": "kit/server"}.get(meta.klass, "kit/vm")
        self._save(name)
        lower = [*(f"layers/{layer}" for layer in chain), kit, "base"]
        private = None if meta.klass == "AdminVM" else f"vol/{name}/private"
        return Storage(
            str(self._state), lower, f"vol/{name}/root", f"vol/{name}/work", private, volatile
        )

    def stopped(self, name: str) -> None:
        """Keep or throw away what Qubes keeps or throws away."""
        meta = self._meta.get(name)
        if meta is None:
            return
        directory = self._directory(name)
        if meta.klass in TEMPLATE_BASED:
            self._renew(directory / "root")
        else:
            meta.root.committed()
        if meta.klass == "DispVM":
            self._renew(directory / "private")
        else:
            meta.private.committed()
        if meta.klass == "TemplateVM":
            layer = str(self._next())
            (directory / "root").rename(self._state / "layers" / layer)
            (directory / "root").mkdir(mode=0o755)
            meta.chain.insert(0, layer)
        self._save(name)

    def new_layer(self, name: str) -> Storage:
        """Return a writable overlay over NAME's root, to be kept by `commit_layer`."""
        meta = self._find(name)
        directory = self._directory(name)
        for part in ("layer", "work"):
            self._renew(directory / part)
        kit = "kit/dom0" if meta.klass == "AdminVM" else "kit/vm"
        lower = [*(f"layers/{layer}" for layer in meta.chain), kit, "base"]
        return Storage(
            str(self._state), lower, f"vol/{name}/layer", f"vol/{name}/work", None, False
        )

    def commit_layer(self, name: str) -> None:
        """Make what was written since `new_layer` the newest layer of NAME's root."""
        layer = str(self._next())
        (self._directory(name) / "layer").rename(self._state / "layers" / layer)
        self._meta[name].chain.insert(0, layer)
        self._meta[name].content = self._next()
        self._save(name)

    def copy(self, source: str, target: str, volume: str) -> None:
        """Replace TARGET's VOLUME ('private' or 'root') by a copy of SOURCE's."""
        meta = self._find(target)
        origin = self._find(source)
        meta.content = self._next()
        self._copy_tree(self._directory(source) / volume, self._directory(target) / volume)
        if volume == "root":
            meta.chain = list(origin.chain)
        self._save(target)

    def revisions(self, name: str, volume: str) -> list[str]:
        """Return the kept revisions' ids, oldest first."""
        return list(self._volume(name, volume).kept)

    def set_revisions_to_keep(self, name: str, volume: str, count: int) -> None:
        """Keep COUNT revisions from now on."""
        revisions = self._volume(name, volume)
        revisions.keep = count
        revisions.kept = revisions.kept[max(0, len(revisions.kept) - count) :]
        self._save(name)

    def private(self, name: str) -> Path:
        """Return the host directory of NAME's private volume."""
        self._find(name)
        return self._directory(name) / "private"

    def snapshot(self, label: str, in_use: list[str]) -> None:
        """Copy every volume under LABEL, replacing an older snapshot of that name.

        IN_USE: the machines that will write to their volumes again without another boot.
        """
        target = self._state / "snapshots" / label
        partial = self._state / "snapshots" / f".{label}"
        self._trash.throw(partial)
        partial.mkdir()
        for name in self._meta:
            (partial / name).mkdir()
            for part in ("meta.json", "root", "private"):
                self._copy_tree(self._directory(name) / part, partial / name / part)
        self._trash.throw(target)
        partial.rename(target)
        for name in in_use:
            self._meta[name].content = self._next()
            self._save(name)

    def restore(self, label: str) -> None:
        """Put every volume back as it was at snapshot LABEL; unchanged ones are left alone."""
        source = self._state / "snapshots" / label
        if not source.is_dir():
            raise MachineError(f"no snapshot named {label}")
        wanted = {path.parent.name: _load(path) for path in source.glob("*/meta.json")}
        for name in [name for name in self._meta if name not in wanted]:
            self.remove(name)
        for name, meta in wanted.items():
            current = self._meta.get(name)
            self._meta[name] = meta
            self._directory(name).mkdir(exist_ok=True)
            if current is None or current.content != meta.content:
                for part in ("root", "private"):
                    self._copy_tree(source / name / part, self._directory(name) / part)
            self._save(name)

    def _volume(self, name: str, volume: str) -> _Revisions:
        """Return the revisions of one volume; MachineError when there is no such volume."""
        meta = self._find(name)
        if volume not in ("private", "root"):
            raise MachineError(f"{name} has no volume {volume}")
        return meta.private if volume == "private" else meta.root

    def _find(self, name: str) -> _Meta:
        """Return NAME's storage record; MachineError when there is none."""
        meta = self._meta.get(name)
        if meta is None:
            raise MachineError(f"{name} has no storage")
        return meta

    def _root_chain(self, template: str | None) -> list[str]:
        """Return the layers of the TemplateVM at the end of TEMPLATE's own templates."""
        while template is not None:
            meta = self._find(template)
            if meta.klass != "AppVM":
                return list(meta.chain)
            template = meta.template
        return []

    def _private_source(self, template: str | None, clone_of: str | None) -> Path:
        """Return the private volume that a disposable starts from."""
        origin = clone_of or template
        if origin is None:
            raise MachineError("a DispVM has no template")
        return self.private(origin)

    def _directory(self, name: str) -> Path:
        return self._state / "vol" / name

    def _renew(self, directory: Path) -> None:
        """Make DIRECTORY an empty one."""
        self._trash.throw(directory)
        directory.mkdir(mode=0o755)

    def _copy_tree(self, source: Path, target: Path) -> None:
        """Make TARGET an exact copy of SOURCE (owners, links, holes, attributes)."""
        self._trash.throw(target)
        command = ["cp", "-a", "--reflink=auto", "--", str(source), str(target)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=_COPY_SECONDS)
        if done.returncode != 0:
            raise MachineError(done.stderr.decode("utf-8", "replace").strip()[-500:])

    def _next(self) -> int:
        """Return a number never given before in this state directory."""
        self._counter += 1
        return self._counter

    def _save(self, name: str) -> None:
        """Write NAME's record, whole or not at all."""
        path = self._directory(name) / "meta.json"
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self._meta[name])), encoding="utf-8")
        temporary.rename(path)


def _load(path: Path) -> _Meta:
    """Read one meta.json."""
    data = json.loads(path.read_text(encoding="utf-8"))
    for volume in ("private", "root"):
        data[volume] = _Revisions(**data[volume])
    return _Meta(**data)
