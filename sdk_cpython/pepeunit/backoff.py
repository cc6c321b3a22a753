"""How long to wait before the next try."""

from dataclasses import dataclass, field

__all__ = ["Backoff", "Pace"]


@dataclass(frozen=True)
class Backoff:
    """Doubling from `first` to `longest` seconds, with full jitter, so that a fleet does not come back all at once."""

    first: float = 1.0
    longest: float = 60.0

    def delay(self, failures: int, chance: float) -> float:
        """Seconds to wait after `failures` tries in a row (at least 1); `chance` is a random number in 0..1."""
        # 2**16 s is far above any cap and keeps the power finite.
        ceiling = min(self.longest, self.first * 2.0 ** min(max(failures - 1, 0), 16))
        return ceiling * chance


@dataclass(frozen=True)
class Pace:
    """How fast things are tried again and how long log entries wait for company, in seconds."""

    session: Backoff = field(default_factory=lambda: Backoff(1.0, 60.0))
    errand: Backoff = field(default_factory=lambda: Backoff(2.0, 300.0))
    log_batch: float = 0.5
