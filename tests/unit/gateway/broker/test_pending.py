import asyncio

import pytest

from pepeunit_gateway.broker.pending import Pending


def is_open(pending):
    return pending._open.is_set()


def test_the_way_in_closes_at_the_limit_and_opens_at_half_of_it():
    pending = Pending(4)
    for _ in range(3):
        pending.enter()
    assert is_open(pending)
    pending.enter()
    assert not is_open(pending)
    pending.leave()
    assert not is_open(pending)
    pending.leave()
    assert is_open(pending)


def test_once_closed_for_good_it_stays_closed():
    pending = Pending(4)
    pending.enter()
    pending.close()
    pending.leave()
    assert not is_open(pending)


async def test_the_end_of_the_last_handler_is_told():
    pending = Pending(4)
    await pending.wait_none()
    pending.enter()
    pending.enter()
    waiting = asyncio.create_task(pending.wait_none())
    pending.leave()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.shield(waiting)
    pending.leave()
    async with asyncio.timeout(1):
        await waiting
