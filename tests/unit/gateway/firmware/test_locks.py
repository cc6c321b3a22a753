import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from pepeunit_gateway.firmware.locks import hold_file_lock, try_file_lock


async def test_only_one_holds_the_lock_and_the_next_gets_it_afterwards(tmp_path: Path):
    path = tmp_path / "a.lock"
    async with hold_file_lock(path):
        assert try_file_lock(path) is None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), hold_file_lock(path):
                pass
    async with asyncio.timeout(5), hold_file_lock(path):
        pass


def test_a_child_that_was_handed_the_lock_keeps_it(tmp_path: Path):
    path = tmp_path / "a.lock"
    held = try_file_lock(path)
    assert held is not None
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(held,))
    os.close(held)
    assert try_file_lock(path) is None
    child.communicate()
    descriptor = try_file_lock(path)
    assert descriptor is not None
    os.close(descriptor)
