"""Wait for what gives no event: something that ends by itself, or a state of another program."""

import asyncio

__all__ = ["until"]


async def until(read, is_good, *, limit=20.0):
    """Await `read()` again and again until its answer is good, at most `limit` seconds; return that answer."""
    async with asyncio.timeout(limit):
        while not is_good(answer := await read()):  # noqa: ASYNC110 - there is no event, that is what this is for
            await asyncio.sleep(0.01)
    return answer
