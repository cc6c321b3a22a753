"""Serve an aiohttp application on a free loopback port and give a client to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientTimeout, web

__all__ = ["served"]


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[ClientSession]:
    """Start `app`, yield a session whose base URL is its address, stop it."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with ClientSession(f"http://127.0.0.1:{port}", timeout=ClientTimeout(total=20)) as session:
            yield session
    finally:
        await runner.cleanup()
