"""The change stream on Redis: what is sent, and where this process stands in it.

An entry has the fields `o` (who published), `k` (the kind of change) and `u` (uuids, 16 bytes each; none means
everything of this kind). The stream is capped: old entries are for nobody, because whoever was away that long looks at
everything again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.redis_link import RedisLink

__all__ = ["Entry", "StreamPosition", "Unsent"]

STREAM = "pepeunit:changes"
_MAX_ENTRIES = 10_000
_BATCH = 500
_UUIDS = 100
_MAX_UNSENT = 100_000
_BLOCK = 1.0
_START = b"0-0"


class Unsent:
    """What others are not told yet, merged; too many entities of one kind become "everything" of that kind."""

    def __init__(self) -> None:
        self._uuids: dict[Change, set[UUID]] = {}
        self._everything: set[Change] = set()

    def __bool__(self) -> bool:
        return bool(self._uuids or self._everything)

    def add(self, change: Change, uuids: Iterable[UUID]) -> None:
        """Note entities of one kind of change."""
        if change in self._everything:
            return
        known = self._uuids.setdefault(change, set())
        known.update(uuids)
        if not known:
            del self._uuids[change]
        elif len(known) > _MAX_UNSENT:
            del self._uuids[change]
            self._everything.add(change)

    async def send(self, link: RedisLink, origin: bytes) -> None:
        """Append all of it to the stream; what could not be sent stays.

        Raises:
            BusAwayError
        """
        for change in tuple(self._everything):
            self._everything.discard(change)  # first: what is published meanwhile is news again
            try:
                await _append(link, origin, change, b"")
            except BaseException:
                self._everything.add(change)
                raise
        for change in tuple(self._uuids):
            for chunk in _chunks(self._uuids.pop(change)):
                try:
                    await _append(link, origin, change, b"".join(uuid.bytes for uuid in chunk.now))
                except BaseException:
                    self.add(change, chunk.now)
                    self.add(change, chunk.later)
                    raise


@dataclass(frozen=True, slots=True)
class _Chunk:
    now: list[UUID]
    later: list[UUID]


def _chunks(uuids: set[UUID]) -> Iterator[_Chunk]:
    ordered = list(uuids)
    for start in range(0, len(ordered), _UUIDS):
        yield _Chunk(ordered[start : start + _UUIDS], ordered[start + _UUIDS :])


async def _append(link: RedisLink, origin: bytes, change: Change, uuids: bytes) -> None:
    fields = ("o", origin, "k", change.value, "u", uuids)
    await link.call("XADD", STREAM, "MAXLEN", "~", _MAX_ENTRIES, "*", *fields)


@dataclass(frozen=True, slots=True)
class Entry:
    """What another process published; `change` is None where it cannot be told, `uuids` where it is everything."""

    change: Change | None
    uuids: tuple[UUID, ...] | None

    @classmethod
    def parse(cls, fields: dict[bytes, bytes]) -> "Entry | None":
        """Read an entry; None for a kind that only a newer gateway knows."""
        kind, packed = fields.get(b"k"), fields.get(b"u")
        if kind is None or packed is None or len(packed) % 16:
            return cls(None, None)
        try:
            change = Change(kind.decode("utf-8", "replace"))
        except ValueError:
            return None
        uuids = tuple(UUID(bytes=packed[start : start + 16]) for start in range(0, len(packed), 16))
        return cls(change, uuids or None)


class StreamPosition:
    """Where this process stands, and whether the stream still reaches back to there."""

    def __init__(self, link: RedisLink, origin: bytes) -> None:
        self._link = link
        self._origin = origin
        self._last = _START

    async def take(self) -> None:
        """Stand behind the newest entry: what is published from now on will be read.

        Raises:
            RedisError, OSError, TimeoutError: as they come.
        """
        newest = await self._link.probe("XREVRANGE", STREAM, "+", "-", "COUNT", 1)
        self._last = newest[0][0] if newest else _START

    async def read(self) -> tuple[list[Entry], bool]:
        """Wait up to a second for what others published; tell too whether anything may have been missed.

        If so (the stream was trimmed past this position, deleted or made anew), take a new position and read on.

        Raises:
            RedisError, OSError, TimeoutError: as they come.
        """
        last = self._last
        command = ("XREAD", "COUNT", _BATCH, "BLOCK", round(_BLOCK * 1000), "STREAMS", STREAM, last)
        found: list[tuple[bytes, dict[bytes, bytes]]] = _entries(await self._link.wait(_BLOCK, *command))
        missed = not await self._reaches_back(last, full=len(found) == _BATCH)
        if missed:
            await self.take()
        elif found:
            self._last = found[-1][0]
        others = (fields for _, fields in found if fields and fields.get(b"o") != self._origin)
        return [entry for fields in others if (entry := Entry.parse(fields))], missed

    async def _reaches_back(self, last: bytes, *, full: bool) -> bool:
        """Tell whether the entry read last is still there: entries go from the oldest on, so none behind it is gone."""
        if last == _START:
            return not full
        return bool(await self._link.probe("XRANGE", STREAM, last, last, "COUNT", 1))


def _entries(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return [] if not answer else list(answer[0][1])
