"""What a run of tests amounts to, whoever runs them: the process that was started, or workers of pytest-xdist.

A plugin that is registered in each of them. A worker only tells what it collected; the process that started the run
counts by the reports, and fails a run that passed more on one database, did not run all that was collected or lost a
worker, be it between two tests.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.databases import KINDS

__all__ = ["PARAMETER", "Counts"]

PARAMETER = "database_kind"
"""The name under which a test of a module on both databases gets its kind."""


def _kind_of(item: pytest.Item) -> str | None:
    return item.callspec.params.get(PARAMETER) if hasattr(item, "callspec") else None


class Counts:
    """The plugin of one process."""

    def __init__(self, config: pytest.Config) -> None:
        self._worker_output: dict[str, Any] | None = getattr(config, "workeroutput", None)
        self._only_listed = config.option.collectonly
        self.collected = 0
        self.chosen: Counter[str] = Counter()
        self.passed: Counter[str] = Counter()
        self.ran: set[str] = set()
        self.fallen = 0

    @property
    def unequal(self) -> bool:
        """Whether fewer passed on one database than on the other, though as many were chosen."""
        sqlite, postgresql = ((self.chosen[kind], self.passed[kind]) for kind in KINDS)
        return sqlite[0] == postgresql[0] and sqlite[1] != postgresql[1]

    @property
    def lost(self) -> int:
        """How many were collected and did not run; of a run to the end none can be but by a fault of the sharing."""
        return 0 if self._only_listed else max(0, self.collected - len(self.ran))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.items:  # who has workers collects nothing
            self.collected = len(session.items)
            self.chosen = Counter(kind for kind in map(_kind_of, session.items) if kind)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        report = yield
        report.database_kind = _kind_of(item)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran.add(report.nodeid)
        kind = getattr(report, "database_kind", None)  # none where a worker died of it
        if report.when == "call" and report.passed and kind:
            self.passed[kind] += 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        self.fallen += error is not None
        told = getattr(node, "workeroutput", {}).get("collected")
        if told is not None:  # the same from each, nothing from one that died
            self.collected, self.chosen = told[0], Counter(told[1])

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._worker_output is not None:
            self._worker_output["collected"] = (self.collected, dict(self.chosen))
        elif exitstatus == pytest.ExitCode.OK and (self.unequal or self.lost or self.fallen):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        if self.chosen:
            line = f"both databases: {self.passed['sqlite']} on SQLite, {self.passed['postgresql']} on PostgreSQL"
            terminalreporter.write_line(line, red=self.unequal)
        if self.fallen:
            terminalreporter.write_line(f"workers that did not end by themselves: {self.fallen}", red=True)
        if self.lost and exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            terminalreporter.write_line(f"collected and not run: {self.lost}", red=True)
