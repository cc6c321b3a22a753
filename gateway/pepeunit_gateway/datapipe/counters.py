"""What the ingest counts since its start."""

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["IngestCounters"]


@dataclass(slots=True)
class IngestCounters:
    """Messages unless said otherwise; `received` is the sum of `stored`, `unknown`, `bad`, `dropped` and what waits."""

    received: int = 0
    stored: int = 0
    unknown: int = 0  # topics without an active pipe, or outside what the platform reads
    bad: int = 0  # unreadable, too large
    bad_log_items: int = 0  # items, not messages
    dropped: Counter[str] = field(default_factory=Counter)  # by `stages.Drop`
    flushes: int = 0
    rows: int = 0
    refused_rows: int = 0  # rows the database refused alone
    outages: int = 0
