"""Visits: qubes that are started for a while, within a bound of memory, and put back as found.

Runs in dom0. Only what was started here is halted again, unless somebody uses it by now; the net
qubes that came up with it last; nothing by force. What is started is marked before, so that the
next run halts what a killed one left on.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from qvm_borg import record
from qvm_borg.flow import Flow
from qvm_borg.qubes import Qube
from qvm_borg.session import ROLE, Session

_MARK = "x-qborg-started"
_SOON = 600  # seconds from the intention to the start, with the net qubes that come up before


class Visits:
    """The visits of one run; `memory` in MiB. `left` holds the qubes that stay on."""

    def __init__(self, session: Session, memory: int) -> None:
        self._session, self._bound = session, memory
        self._memory: dict[str, int] = {}  # of all that we have started
        self._visited: set[str] = set()
        self._nets: set[str] = set()
        self.left: list[str] = []

    def _need(self, qube: Qube) -> dict[str, int]:
        """Answer what must be started for a visit, each with the MiB that Qubes has to find for it.

        That is `memory`; what a qube takes beyond it, up to `maxmem`, Qubes takes back on demand.
        """
        return {one.name: int(one.property("memory")) for one in self._way(qube) if one.halted()}

    def coming(self, qube: Qube) -> Flow[None]:
        """Wait until what a visit starts fits; one that is too large for the bound goes alone."""
        need = self._need(qube)
        while need and self._visited and sum({**self._memory, **need}.values()) > self._bound:
            yield [], [], 1.0

    @contextmanager
    def at(self, qube: Qube) -> Iterator[bool]:
        """Have a qube run for the block, then put it back; yields whether it was halted before."""
        need, marked = self._need(qube), is_marked(qube)
        ours = {each.name: each for each in self._way(qube) if each.name in need or is_marked(each)}
        mine = qube.name in ours
        self._nets.update(name for name in ours if name != qube.name)
        self._memory.update(need)
        self._visited.add(qube.name)
        try:
            for name in need:
                ours[name].set_feature(_MARK, f"{ours[name].uuid} >{int(time.time())}")
            mine = qube.start() or marked  # unless somebody else was faster
            for each in ours.values():
                each.set_feature(_MARK, f"{each.uuid} {each.property('start_time')}")
            yield mine and not marked
        finally:
            self._visited.discard(qube.name)
            if mine and qube.name not in self._nets:
                self._put_back(qube)
            elif not mine:
                qube.remove_feature(_MARK)

    def finish(self) -> None:
        """Put the net qubes back, clients before those that they need, and a killed run's."""
        self._session.system.look_anew()  # some may be gone by now
        marked = [each for each in self._session.system.qubes()
                  if each.feature(_MARK) and is_marked(each)
                  and (each.feature(ROLE) or each.feature(record.FEATURE)
                       or each.property("provides_network"))]
        for each in sorted(marked, key=lambda each: -len(self._way(each))):
            self._put_back(each)

    def _way(self, qube: Qube) -> list[Qube]:
        """Answer a qube and the net qubes between it and the network, in this order."""
        way = [qube]
        while (name := way[-1].property("netvm")) is not None:
            way.append(self._session.system.find(name))
        return way

    def _put_back(self, qube: Qube) -> None:
        if self._session.put_back(qube):
            self._memory.pop(qube.name, None)
        else:  # it is the person's from now on
            self.left.append(qube.name)
        qube.remove_feature(_MARK)


def is_marked(qube: Qube) -> bool:
    """Tell whether it still runs because a run, this or a killed one, has started it.

    The mark is of this very start: no copy has it, nor the qube once it is started anew. Of a run
    that was killed amid the start there is the intention, which counts for a start soon after it.
    """
    found = qube.feature(_MARK)
    start = found and qube.property("start_time")
    begun = re.fullmatch(f"{qube.uuid} >([0-9]{{1,12}}) ([0-9]{{1,12}})[.0-9]*", f"{found} {start}")
    return found == f"{qube.uuid} {start}" or (
        begun is not None and 0 <= int(begun[2]) - int(begun[1]) <= _SOON)
