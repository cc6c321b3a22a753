"""What Prometheus is told of the jobs that this process ran."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from pepeunit_gateway.registry.job_runs import JobName, Outcome

__all__ = ["JobFigures"]

_GOOD = (Outcome.DONE, Outcome.IDLE)
_ENDS = (*_GOOD, Outcome.FAILED, Outcome.LOST)


class JobFigures:
    """Counted since the start; every job and outcome is there from the beginning, as 0."""

    def __init__(self, jobs: Iterable[JobName]) -> None:
        names = [job.value for job in jobs]
        self._runs: Counter[tuple[str, ...]] = Counter({(job, end.value): 0 for job in names for end in _ENDS})
        self._seconds = dict.fromkeys(names, 0.0)
        self._success = dict.fromkeys(names, 0.0)

    def note(self, job: JobName, outcome: Outcome, seconds: float, ended: datetime) -> None:
        """Count one run."""
        self._runs[job.value, outcome.value] += 1
        self._seconds[job.value] = seconds
        if outcome in _GOOD:
            self._success[job.value] = ended.timestamp()

    def runs(self) -> Mapping[tuple[str, ...], float]:
        """By job and outcome."""
        return dict(self._runs)

    def seconds(self) -> Mapping[str, float]:
        """How long the last run of each job took; 0 before the first."""
        return dict(self._seconds)

    def success(self) -> Mapping[str, float]:
        """When the last run of each job went well, in seconds since 1970; 0 before the first."""
        return dict(self._success)
