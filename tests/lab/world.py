"""World files: TOML to a frozen description of a server, templates and qubes.

Runs wherever a lab is started. It reads and checks; it creates nothing.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Mapping

from .errors import LabError

WORLDS = Path(__file__).resolve().parent / "worlds"
LABELS = ("red", "orange", "yellow", "green", "gray", "blue", "purple", "black")
CLASSES = ("AppVM", "StandaloneVM", "DispVM")
RESERVED = ("dom0", "server", "none", "default")
_NAME = re.compile(r"(?!Domain-0$)[A-Za-z][A-Za-z0-9_.-]{0,30}(?<!-dm)")
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ADDRESS = re.compile(rf"{_OCTET}(\.{_OCTET}){{3}}")
_FEATURE = re.compile(r"[A-Za-z0-9_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_WRITTEN = {
    "str": '"text"', "str | None": '"text"', "bool": "true or false", "int | None": "a number",
    "tuple[str, ...]": '["one", "two"]', "tuple[tuple[str, str], ...]": '{"name" = "text"}',
}  # fmt: skip
_TAG = re.compile(r"[A-Za-z0-9_-]+")
_ACCOUNT = re.compile(r"[a-z][a-z0-9-]{0,30}")
_OFFERS, _KEYS = re.compile("shell|sftp|borg"), re.compile("account|root")
_HOST = re.compile(r"[a-z0-9][a-z0-9.-]{0,250}")


@dataclass(frozen=True)
class Server:
    """The backup server; QUOTA_MB limits the account's home, PASSWORD allows password login.

    INTERACTIVE: the password is asked for by PAM's dialogue, and in no other way. OFFERS: shell,
    sftp or borg, the latter two beside `borg serve` and nothing else. KEYS: whose file the
    account's authorized_keys is, `account` or `root`.
    """

    host: str = "backup.example"
    address: str = "198.51.100.10"
    user: str = "zh1234"
    borg: tuple[str, ...] = ("borg14", "borg12")
    quota_mb: int | None = None
    password: str | None = None
    interactive: bool = False
    port: int | None = None
    offers: str = "shell"
    keys: str = "account"


@dataclass(frozen=True)
class Template:
    """A TemplateVM; INSTALL are shell lines run on the host with $ROOT naming its tree."""

    name: str
    label: str = "black"
    install: tuple[str, ...] = ()
    features: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Dom0:
    """dom0; INSTALL as for templates."""

    install: tuple[str, ...] = ()


@dataclass(frozen=True)
class Qube:
    """One qube as its world wants it at the start."""

    name: str
    klass: str
    label: str
    template: str
    netvm: str | None = None
    provides_network: bool = False
    template_for_dispvms: bool = False
    running: bool = False
    features: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class World:
    """Everything a lab starts from, in the order of the file."""

    server: Server
    dom0: Dom0
    templates: tuple[Template, ...]
    qubes: tuple[Qube, ...]


def find(name: str) -> Path:
    """Return the path of a world given as a file or as the name of one in worlds/."""
    for path in (Path(name), WORLDS / f"{name}.toml"):
        if path.is_file():
            return path.resolve()
    known = ", ".join(sorted(path.stem for path in WORLDS.glob("*.toml")))
    raise LabError(f"no world file {name}", f"give a TOML file or one of: {known}", 2)


def load(path: Path) -> World:
    """Read and check a world file; LabError (status 2) names the first thing wrong with it."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        hint = "see tests/lab/README.md, World files"
        raise LabError(f"{path.name}: {error}", hint, 2) from error
    return parse(data, path.name)


def parse(data: Mapping[str, Any], where: str) -> World:
    """Check the parsed TOML of file WHERE; LabError (status 2) names the first thing wrong."""
    _only(data, ("server", "dom0", "templates", "qubes"), where)
    server = _record(Server, _table(data, "server", where), f"{where}: [server]")
    _match(_HOST, server.host, f"{where}: server host")
    _match(_ADDRESS, server.address, f"{where}: server address")
    for name in (server.user, *server.borg):
        _match(_ACCOUNT, name, f"{where}: server name")
    dom0 = _record(Dom0, _table(data, "dom0", where), f"{where}: [dom0]")
    templates = tuple(
        _record(Template, body, f"{where}: [templates.{name}]", name=_name(name, where))
        for name, body in _tables(data, "templates", where)
    )
    qubes = tuple(_qube(name, body, where) for name, body in _tables(data, "qubes", where))
    if server.quota_mb is not None and server.quota_mb < 1:
        raise LabError(f"{where}: quota_mb is {server.quota_mb}", "it is 1 or more", 2)
    if server.port is not None and not 1 <= server.port <= 65535:
        raise LabError(f"{where}: port is {server.port}", "it is 1 to 65535", 2)
    _match(_OFFERS, server.offers, f"{where}: server offers")
    _match(_KEYS, server.keys, f"{where}: server keys")
    _match_labels(templates + qubes, where)
    world = World(server, dom0, templates, qubes)
    _cross_check(world, where)
    return world


def _qube(name: str, body: dict[str, Any], where: str) -> Qube:
    """Check one [qubes.NAME] table; its class is written `class`."""
    section = f"{where}: [qubes.{name}]"
    for key in ("class", "label", "template"):
        if key not in body:
            raise LabError(f"{section}: {key} is missing", 'e.g. class="AppVM" label="blue"', 2)
    body = dict(body)
    klass = body.pop("class")
    if "klass" in body or klass not in CLASSES:
        raise LabError(f"{section}: bad class", f"use one of: {', '.join(CLASSES)}", 2)
    qube: Qube = _record(Qube, body, section, name=_name(name, where), klass=klass)
    return qube


def _match_labels(entries: tuple[Template | Qube, ...], where: str) -> None:
    """Refuse features and tags that Qubes would not take."""
    for entry in entries:
        for name, value in entry.features:
            _match(_FEATURE, name, f"{where}: {entry.name}: feature")
            _match(_VALUE, value, f"{where}: {entry.name}: feature {name}")
        for tag in entry.tags if isinstance(entry, Qube) else ():
            _match(_TAG, tag, f"{where}: {entry.name}: tag")


def _cross_check(world: World, where: str) -> None:
    """Check what names of one table mean in another."""
    templates = {template.name for template in world.templates}
    qubes = {qube.name: qube for qube in world.qubes}
    for double in templates & set(qubes):
        raise LabError(f"{where}: {double} is a template and a qube", "rename one of them", 2)
    disposable = {qube.name for qube in world.qubes if qube.template_for_dispvms}
    labels = {entry.name: entry.label for entry in world.templates}
    labels |= {entry.name: entry.label for entry in world.qubes}
    for name, label in labels.items():
        if label not in LABELS:
            raise LabError(f"{where}: {name}: no label {label!r}",
                           f"use one of: {', '.join(LABELS)}", 2)  # fmt: skip
    for qube in world.qubes:
        known = disposable if qube.klass == "DispVM" else templates
        if qube.template not in known:
            raise LabError(f"{where}: {qube.name}: unknown template {qube.template!r}",
                           f"known: {', '.join(sorted(known)) or 'none'}", 2)  # fmt: skip
        netvm = qubes.get(qube.netvm) if qube.netvm is not None else None
        if qube.netvm is not None and (netvm is None or not netvm.provides_network):
            raise LabError(f"{where}: {qube.name}: {qube.netvm!r} gives no network",
                           "name a qube with provides_network=true", 2)  # fmt: skip
        seen = [qube.name]
        while netvm is not None:
            if netvm.name in seen:
                raise LabError(f"{where}: {qube.name}: its netvms lead in a circle",
                               "let one of them have no netvm", 2)  # fmt: skip
            seen.append(netvm.name)
            netvm = qubes.get(netvm.netvm or "")


def _record(kind: type[Any], body: Mapping[str, Any], where: str, **fixed: Any) -> Any:
    """Make a KIND from a TOML table; unknown keys and wrong types are errors."""
    allowed = [field for field in fields(kind) if field.name not in fixed]
    _only(body, [field.name for field in allowed], where)
    values = dict(fixed)
    for field in allowed:
        if field.name in body:
            values[field.name] = _value(str(field.type), body[field.name], f"{where}: {field.name}")
    return kind(**values)


def _value(kind: str, value: Any, where: str) -> Any:
    """Check VALUE against the annotation KIND of its field."""
    simple = {"str": str, "bool": bool, "int": int}.get(kind.split(" |")[0])
    if simple is not None and type(value) is simple:
        return value
    if kind == "tuple[str, ...]" and isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return tuple(value)
    if kind == "tuple[tuple[str, str], ...]" and isinstance(value, dict):
        if all(isinstance(item, str) for item in value.values()):
            return tuple(value.items())
    raise LabError(f"{where}: {value!r} is not what belongs there", f"write {_WRITTEN[kind]}", 2)


def _only(body: Mapping[str, Any], allowed: Any, where: str) -> None:
    """Refuse keys that are not ALLOWED."""
    for key in body:
        if key not in allowed:
            raise LabError(f"{where}: unknown key {key!r}", f"known: {', '.join(allowed)}", 2)


def _table(data: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """Return the table under KEY, empty when absent."""
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise LabError(f"{where}: {key} is not a table", f"write [{key}]", 2)
    return value


def _tables(data: Mapping[str, Any], key: str, where: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the named tables under KEY in the order of the file."""
    outer = _table(data, key, where)
    for name, value in outer.items():
        if not isinstance(value, dict):
            raise LabError(f"{where}: {key}: {name} is not a table", f"write [{key}.{name}]", 2)
    return list(outer.items())


def _name(name: str, where: str) -> str:
    """Check a qube's name as Qubes does, and that the lab does not use it itself."""
    if name in RESERVED or not _NAME.fullmatch(name):
        raise LabError(f"{where}: bad name {name!r}",
                       "letters, digits and _.-, at most 31, not dom0 or server", 2)  # fmt: skip
    return name


def _match(pattern: re.Pattern[str], value: str, where: str) -> None:
    """Refuse VALUE when PATTERN does not match all of it."""
    if not pattern.fullmatch(value):
        raise LabError(f"{where}: {value!r} is not allowed", f"it must match {pattern.pattern}", 2)
