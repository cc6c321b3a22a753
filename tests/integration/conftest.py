"""A test module that says `BOTH_LOOPS = True` runs its asynchronous tests on asyncio's own loop and on uvloop.

Tests of archives share a served repository and a cache over it.
"""

import asyncio
from pathlib import Path

import pytest
import uvloop

from pepeunit_gateway.firmware.archives import ArchiveCache
from tests.support.git_server import GitServer
from tests.support.repository import MIB, ServedRepository


def pytest_asyncio_loop_factories(config, item):  # noqa: ARG001 - the hook's signature
    """Name the event loops of one test."""
    if getattr(item.module, "BOTH_LOOPS", False):
        return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.SelectorEventLoop}


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        repository = ServedRepository(tmp_path, server)
        yield repository
        await repository.mirrors.close()


@pytest.fixture
def archives(repository):
    return ArchiveCache(repository.folder / "archives", repository.mirrors, max_bytes=MIB)
