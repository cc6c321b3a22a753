"""A test module that says `BOTH_LOOPS = True` runs its asynchronous tests on asyncio's own loop and on uvloop."""

import asyncio

import uvloop


def pytest_asyncio_loop_factories(config, item):  # noqa: ARG001 - the hook's signature
    """Name the event loops of one test."""
    if getattr(item.module, "BOTH_LOOPS", False):
        return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.SelectorEventLoop}
