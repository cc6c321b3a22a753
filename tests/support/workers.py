"""How workers of pytest-xdist share tests: long folders first, a module's tests of one database together.

What a module shares (a gateway, servers) is made once per database whoever runs it, so that a module which runs on both
is two portions. A portion stays on one worker. Those of `FOLDERS` come first, in that order, and the many small ones at
the end even out what is left.
"""

import re
from pathlib import PurePath
from typing import Any

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.support.databases import KINDS

__all__ = ["FOLDERS", "Portions", "portion", "rank"]

FOLDERS = ("powercut", "fuzz", "conformance", "integration")
_KIND = re.compile(rf"[\[-]({'|'.join(KINDS)})[-\]]")


def portion(nodeid: str) -> str:
    """Return the name of what must stay on one worker: the file of a test, and its database where it names one."""
    kind = _KIND.search(nodeid)
    return "::".join((nodeid.partition("::")[0], *(kind.groups() if kind else ())))


def rank(path: PurePath) -> int:
    """Return the place of a test's folder: those of `FOLDERS` first."""
    ranks = [FOLDERS.index(part) for part in path.parts if part in FOLDERS]
    return ranks[-1] if ranks else len(FOLDERS)


class Portions(LoadScopeScheduling):
    """Hands out portions in the order of collection; the next goes to whoever has fewer than three tests left."""

    def __init__(self, config: Any, log: Any) -> None:
        config.option.loadscopereorder = False  # not by the number of tests, which says little about their length
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return portion(nodeid)

    def remove_node(self, node: WorkerController) -> str | None:
        """Share what a worker that is gone left undone; return the test that ended it, which nobody runs again."""
        left = {name: tests for name, tests in self.assigned_work.pop(node).items() if not all(tests.values())}
        if not left:
            return None
        running = next(iter(left.values()))
        ended_by = next(nodeid for nodeid, done in running.items() if not done)
        running[ended_by] = True
        self.workqueue.update((name, tests) for name, tests in left.items() if not all(tests.values()))
        for other in self.assigned_work:
            self._reschedule(other)
        return ended_by
