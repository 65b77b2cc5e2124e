"""Which rows there are, by the name that `--rows` takes.

Runs on a developer's host.
"""

from collections.abc import Callable, Iterator

from bench import in_dom0, in_work
from bench.measure import Result
from bench.place import Place

ROWS: dict[str, Callable[[Place], Iterator[Result]]] = {
    "nothing-new": in_work.nothing_new,
    "first": in_work.first,
    "list": in_work.lists,
    "restore": in_work.restores,
    "qvm-backup": in_work.qvm_backup,
    "start": in_dom0.starts,
    "status": in_dom0.tells,
    "clean": in_dom0.clean,
    "enrol": in_dom0.enrols,
}
