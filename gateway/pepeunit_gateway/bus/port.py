"""What the rest of the gateway knows of the bus: a change stream, leases, a cache and counters.

Two adapters: `bus.local` in process and `bus.redis`. Source: design.md "Ports", decisions.md 22. No call of the port
fails because Redis is away: what is published waits and is sent when it is back, the cache misses, counters count in
this process, and no lease is given.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.subscription import Source, Subscription
from pepeunit_gateway.errors import PepeunitError

__all__ = ["MAX_VALUE", "Bus", "BusAwayError", "Count", "Lease"]

MAX_VALUE = 1024 * 1024
"""Bytes; the cache keeps no larger value."""


class BusAwayError(PepeunitError):
    """What joins the gateways does not answer, or refused; the caller does without it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do something alone until its time is over.

    `fence` is higher than that of every lease of this name before. Whoever writes under a lease says it in the
    transaction, and the database refuses a lower one than it has seen: so a holder that slept through the end of its
    lease changes nothing.
    """

    name: str
    holder: str
    fence: int


@dataclass(frozen=True, slots=True)
class Count:
    """How often something was counted, and the seconds until it is forgotten."""

    count: int
    seconds_left: float


class Bus(Protocol):
    """What joins the parts of one gateway, and several gateways on one database."""

    @property
    def connected(self) -> bool:
        """Whether other gateways are heard at this moment; always so where there are none."""

    @property
    def shared(self) -> bool:
        """Whether other processes may be on it."""

    async def start(self) -> None:
        """Be ready; changes that others publish from now on are seen. Returns within seconds, whatever is away."""

    async def stop(self) -> None:
        """Send what waits, within a second, and close everything; safe to call twice."""

    # --- the change stream ---

    def publish(self, change: Change, uuids: Iterable[UUID]) -> None:
        """Tell every subscriber of `change`, in every gateway; never blocks, never fails. Call it after the commit."""

    def subscribe(self, change: Change, *, source: Source = Source.ANY) -> Subscription:
        """Return a new reader that sees everything published from now on.

        `News.everything` says that something may have been missed: look at everything again. A reader of own changes
        misses none.
        """

    async def append(self, stream: str, fields: Mapping[str, str], *, max_entries: int) -> None:
        """Append an entry to a stream that programs of others read, which is kept at about `max_entries`.

        Raises:
            BusAwayError: try again later.
        """

    # --- leases ---

    async def acquire(self, name: str, holder: str, ttl: float, *, above: int = 0) -> Lease | None:
        """Take the lease `name` for `ttl` seconds, or return None while another holder has it or Redis is away.

        Args:
            name: what is to be done alone.
            holder: who asks, unique among all processes; the same holder gets the lease anew, with a higher fence.
            ttl: seconds until others may have it.
            above: the highest fence that the caller knows of; the new one is higher, also after Redis lost its data.
        """

    async def renew(self, lease: Lease, ttl: float) -> bool:
        """Keep a lease for `ttl` seconds from now; False if it is lost, or if Redis did not answer."""

    async def release(self, lease: Lease) -> None:
        """Give a lease back, so that others have it at once; nothing happens if it was lost."""

    # --- the cache ---

    async def recall(self, key: str) -> bytes | None:
        """Return what `keep` kept, or None; a value may be gone at any time."""

    async def keep(self, key: str, value: bytes, ttl: float) -> None:
        """Keep `value` for at most `ttl` seconds; one over `MAX_VALUE` bytes is not kept."""

    async def forget(self, key: str) -> None:
        """Forget a value; if Redis is away, it is forgotten when it is back."""

    # --- counters ---

    async def increment(self, key: str, ttl: float) -> Count:
        """Count once more; the first time begins a span of `ttl` seconds, after which the count is forgotten."""

    async def peek(self, key: str) -> Count | None:
        """Return the count without counting, or None if there is none."""

    async def reset(self, key: str) -> None:
        """Forget a count."""
