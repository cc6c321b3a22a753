"""Hashing of passwords in turn: one hash takes 64 MiB and tens of milliseconds, never more than a few at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pepeunit_gateway.access.passwords import StoredPassword, Verdict, hash_password, verify_password
from pepeunit_gateway.errors import TooManyRequestsError

__all__ = ["Hashing"]

_AT_A_TIME = 2
_MOST_WAITING = 16


class Hashing:
    """The places for hashing in this process; the hashes themselves run in threads.

    `static_salt` is PU_STATIC_SALT, empty where no account was taken over.
    """

    def __init__(self, static_salt: str) -> None:
        self._static_salt = static_salt
        self._places = asyncio.Semaphore(_AT_A_TIME)
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place and hold it for the block.

        Raises:
            TooManyRequestsError: 16 have a place or wait for one already.
        """
        if self._waiting >= _MOST_WAITING:
            raise TooManyRequestsError("too many passwords at once; try again in a moment", retry_after=1)
        self._waiting += 1
        try:
            async with self._places:
                yield
        finally:
            self._waiting -= 1

    async def hash(self, password: str) -> str:
        """Return the hash of a new password; waits for its turn."""
        async with self.turn():
            return await self.hash_now(password)

    async def hash_now(self, password: str) -> str:
        """Return the hash of a password; call it within `turn`."""
        return await asyncio.to_thread(hash_password, password)

    async def verify_now(self, password: str, stored: StoredPassword | None) -> Verdict:
        """Compare a password; call it within `turn`."""
        return await asyncio.to_thread(verify_password, password, stored, static_salt=self._static_salt)
