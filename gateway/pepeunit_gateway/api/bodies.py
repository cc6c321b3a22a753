"""Receive the bodies of requests: how many may arrive at a time, and how long each may take.

A body that came with its head costs nothing. One that still arrives holds a place, of its client's and of all, so that
slow clients keep nobody from being answered but, at worst, others who send slowly.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

from pepeunit_gateway.api.failures import RequestError
from pepeunit_gateway.api.keys import PROXIES
from pepeunit_gateway.errors import TooManyRequestsError

__all__ = ["BODIES", "TOO_MANY_BODIES", "Bodies"]

_MOST = 1000
"""Each may hold 256 KiB in memory."""

_MOST_OF_ONE = 100
_GRACE = 5.0
_SLOWEST = 4096
_LONGEST = 120.0
_PIECE = 64 * 1024

TOO_MANY_BODIES = TooManyRequestsError(
    "too many bodies arrive from this address at a time; send some later", retry_after=int(_GRACE)
)


class Bodies:
    """The bodies that arrive.

    Args:
        most: at a time.
        most_of_one: at a time from one address; of IPv6, one /64 network.
        grace: seconds that each may take, and one more for every 4 KiB that came: 69 s for 256 KiB.
    """

    def __init__(self, most: int = _MOST, most_of_one: int = _MOST_OF_ONE, grace: float = _GRACE) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._grace = grace
        self._sites: Counter[str] = Counter()

    @property
    def arriving(self) -> int:
        return self._sites.total()

    async def receive(self, request: web.Request, limit: int) -> bytes:
        """Return the body.

        Raises:
            RequestError: 413 for more than `limit` bytes, 408 when it comes too slowly, 400 when it is cut, 503 while
                too many others arrive.
            TooManyRequestsError: too many others of the same client arrive.
        """
        if request.content_length is not None and request.content_length > limit:
            raise _too_large(limit)
        if request.content.is_eof():
            return await self._read(request, limit)
        with self._place(request.app[PROXIES].client(request).site):
            return await self._read(request, limit)

    async def pour(self, request: web.Request, limit: int, take: Callable[[bytes], None]) -> None:
        """Hand over the body piece by piece as it arrives, so that a large one never stands in memory.

        It may take two minutes, however large it is.

        Raises:
            RequestError, TooManyRequestsError: as `receive`.
        """
        if request.content_length is not None and request.content_length > limit:
            raise _too_large(limit)
        with self._place(request.app[PROXIES].client(request).site):
            await self._take(request, limit, take)

    @contextmanager
    def _place(self, site: str) -> Iterator[None]:
        if self._sites[site] >= self._most_of_one:
            raise TooManyRequestsError(TOO_MANY_BODIES.message, retry_after=TOO_MANY_BODIES.retry_after)
        if self.arriving >= self._most:
            raise RequestError(503, "too many bodies arrive at a time; try again in a few seconds")
        self._sites[site] += 1
        try:
            yield
        finally:
            self._sites[site] -= 1
            if not self._sites[site]:
                del self._sites[site]

    async def _read(self, request: web.Request, limit: int) -> bytes:
        pieces = bytearray()
        await self._take(request, limit, pieces.extend)
        return bytes(pieces)

    async def _take(self, request: web.Request, limit: int, take: Callable[[bytes], None]) -> None:
        began, size = asyncio.get_running_loop().time(), 0
        async with _arriving(self._grace) as patience:
            async for piece in request.content.iter_chunked(_PIECE):
                size += len(piece)
                if size > limit:
                    raise _too_large(limit)
                patience.reschedule(began + min(self._grace + size / _SLOWEST, _LONGEST))
                take(piece)


@asynccontextmanager
async def _arriving(seconds: float) -> AsyncIterator[asyncio.Timeout]:
    """Bound the time; a client that is gone is no fault of the gateway."""
    try:
        async with asyncio.timeout(seconds) as patience:
            yield patience
    except TimeoutError:
        raise RequestError(408, "the body did not arrive in time; send it again") from None
    except (OSError, web.RequestPayloadError):
        raise RequestError(400, "the body ended early; send it again") from None


def _too_large(limit: int) -> RequestError:
    return RequestError(413, f"the body may have at most {limit} bytes")


BODIES: web.AppKey[Bodies] = web.AppKey("bodies", Bodies)
