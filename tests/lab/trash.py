"""Deletes directory trees without making anybody wait.

Runs in the supervisor. A tree vanishes from its place at once (rename) and is deleted later.
"""

from __future__ import annotations

import itertools
import queue
import shutil
import threading
from pathlib import Path


class Trash:
    """A directory on the same file system as what is thrown into it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(exist_ok=True)
        self._queue: queue.Queue[Path] = queue.Queue()
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        for left in directory.iterdir():
            self._queue.put(left)

    def throw(self, path: Path) -> None:
        """Make PATH (a file, a tree or nothing) vanish."""
        if not path.exists():
            return
        target = self._directory / f"{id(self)}-{next(self._numbers)}"
        path.rename(target)
        self._queue.put(target)
        # Started late: the supervisor forks the spawner before its first thread.
        if self._thread is None:
            self._thread = threading.Thread(target=self._empty, daemon=True)
            self._thread.start()

    def _empty(self) -> None:
        """Delete what was thrown away, for ever."""
        while True:
            path = self._queue.get()
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
