"""qvm-borg-restore: what it does with its arguments; these and its help are data, restore.toml.

Runs in dom0. Names of files are the qube's: what a person reads of them has passed the report's
filter, and for a program they are JSON.
"""

import json
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from typing import Any

from qborg_wire.reply import printable
from qvm_borg import elsewhere, tools
from qvm_borg.report import moment, size
from qvm_borg.session import Session
from qvm_borg.telling import refusal, text
from qvm_borg.tools import setup


def _work(session: Session, options: Namespace) -> None:
    usual = "begun:latest" if options.in_place else "latest"
    options.archive = options.archive or (usual if options.paths or not options.list else "")
    if options.to or options.to_new or options.to_disposable:
        elsewhere.restore(session, options, setup.person())
        return
    qube, found = session.enrolled(options.qube)
    asked = {"archive": options.archive, "paths": options.paths}
    with tools.apart(options.json), session.running(qube):
        call = partial(session.call, qube, repository=found.repository)
        told = _listed(call, asked) if options.list else _restored(call, asked, options)
    if options.json:
        print(json.dumps(told, indent=2), flush=True)
    elif options.list:
        for line in _lines(told):
            session.report.show(line)
    else:
        elsewhere.tell(session, qube, options, told)


def _listed(call: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Answer the archives of the running qube, or what is in the one that is asked for."""
    reply = call("ListFiles", asked) if asked["archive"] else call("ListArchives")
    return {key: value if key == "archive" else json.loads(value) for key, value in reply.items()}


def _lines(told: dict[str, Any]) -> Iterator[str]:
    for each in reversed(told.get("archives", ())):
        yield f"{moment(each['time'])}  {each['name']}"
    yield from told.get("names", ())
    if "names" in told:
        yield text("files-listed", archive=told["archive"], files=told["files"],
                   bytes=size(told["bytes"]))
    if told["more"]:
        yield text("more-to-list", count=told["more"])


def _restored(call: Any, asked: dict[str, Any], options: Namespace) -> Any:
    """Have the files restored, in place once a person agrees to what is written over."""
    if options.in_place and not options.yes:
        found, ask = _listed(call, asked), setup.person()
        question = text("files-go-over", files=found["files"], archive=found["archive"],
                        there=found["there"], paths=printable(" ".join(options.paths), 400))
        if found["there"] and not (ask and ask(question)):
            raise refusal("nobody-agreed", there=found["there"])
        asked["archive"] = found["archive"]
    home = "place" if options.in_place else "aside"
    return call("RestoreFiles", asked | {"directory": options.to_directory or "/", "home": home})


main = tools.command("restore", _work)
