"""Render every state with real Salt for many machines; prints one JSON object by case.

Run by the Python of .venv/salt, since its package `salt` and this folder cannot both be imported.
Arguments: the state tree, a folder for Salt's own files, the cases as JSON.
"""

import json
import sys
from pathlib import Path

# This folder's parent is not on the path of a script, so that `salt` is the installed one.
import salt.client
import salt.config
import salt.utils.url

sys.path.insert(0, str(Path(__file__).parent / "qubes"))
import python313  # noqa: E402

MAP = "{% from 'qubes-borg/map.jinja' import qborg with context %}{{ qborg | json }}"


def options(tree: str, place: Path, case: dict) -> dict:
    """The configuration of a machine with the grains and the name of a case, and no cache."""
    place.mkdir()
    # Grains of the configuration take the place of this host's only if they are read from a file.
    written = place / "minion"
    written.write_text(json.dumps({
        "file_client": "local", "id": case["id"], "grains": case["grains"],
        "root_dir": str(place), "cachedir": f"{place}/cache", "pki_dir": f"{place}/pki",
        "sock_dir": f"{place}/sock", "extension_modules": f"{place}/ext",
        "log_file": f"{place}/log", "log_level_logfile": "quiet",
        "file_roots": {"base": [*case.get("packages", []), tree]},
    }), encoding="ascii")  # fmt: skip
    made: dict = salt.config.minion_config(str(written))
    return made


def main(tree: str, place: str, cases: str) -> None:
    """Answer each case: the state as data, or a list of what is wrong with it."""
    salt.utils.url.create = python313.create
    told = {}
    for number, (name, case) in enumerate(json.loads(cases).items()):
        caller = salt.client.Caller(mopts=options(tree, Path(place, str(number)), case))
        pillar = {"qubes": {"type": case["type"]}} | case.get("pillar", {})
        state = f"qubes-borg.{case['state']}".removesuffix(".init")
        told[name] = caller.cmd("state.show_sls", state, pillar=pillar)
    data = caller.cmd("slsutil.renderer", string=MAP, default_renderer="jinja|json")
    json.dump({"version": salt.version.__version__, "map": data, "cases": told}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
