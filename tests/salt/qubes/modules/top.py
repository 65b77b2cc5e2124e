"""Stand-in for Qubes' Salt module `top`: tops are enabled by a symlink. Runs in dom0."""

from pathlib import Path

from salt.exceptions import CommandExecutionError

TREE = Path("/srv/salt")


def _link(name: str) -> tuple[Path, Path]:
    beside, inside = (TREE / (name.replace(".", "/") + end) for end in (".top", "/init.top"))
    found = [path for path in (beside, inside) if path.is_file()]
    if not found:
        raise CommandExecutionError(f"there is no top {name}")
    return TREE / "_tops/base" / f"{name}.top", found[0]


def enable(*names: str) -> dict[str, list[str]]:
    """Have tops enabled, by their dotted names."""
    for name in names:
        link, target = _link(name)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(target)
    return {"enabled": list(names)}


def disable(*names: str) -> dict[str, list[str]]:
    """Have tops disabled."""
    for name in names:
        _link(name)[0].unlink(missing_ok=True)
    return {"disabled": list(names)}
