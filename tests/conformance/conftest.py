"""Every scenario runs twice, on CPython and on MicroPython, against one real gateway per module."""

import pytest
import pytest_asyncio

from tests.conformance.device import SDKS
from tests.conformance.stage import Stage
from tests.support.rest_world import world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    # polled only at the start: scenarios say when the gateway looks at a repository
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as made:
        yield made


@pytest.fixture(params=sorted(SDKS))
def sdk(request):
    return request.param


@pytest_asyncio.fixture(loop_scope="module")
async def stage(here, sdk, tmp_path):
    made = Stage(here, sdk, tmp_path)
    yield made
    await made.close()
