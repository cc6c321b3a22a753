import asyncio

from pepeunit_gateway.firmware.turns import Turns


async def settle():
    """Let everybody go as far as they can; nothing here waits for a clock or a thread."""
    for _ in range(50):
        await asyncio.sleep(0)


async def enter(turns, key, inside, leave):
    async with turns.of(key):
        inside.append(key)
        await leave.wait()
        inside.remove(key)


async def test_one_key_has_its_share_and_all_together_the_total():
    turns, inside, leave = Turns(2, 1), [], asyncio.Event()
    tasks = [asyncio.create_task(enter(turns, key, inside, leave)) for key in "aaaabbc"]
    await settle()
    assert inside == ["a", "b"], "c waits for one turn, not for every a"
    peak = []
    leave.set()
    while inside:
        peak.append(len(inside))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert max(peak) == 2


async def test_who_comes_late_waits_for_no_more_than_a_share_of_another_key():
    turns, order = Turns(1, 1), []

    async def enter_once(key):
        async with turns.of(key):
            order.append(key)
            await asyncio.sleep(0)

    await asyncio.gather(*(enter_once(key) for key in "aaaaaab"))
    assert order.index("b") == 1


async def test_who_gives_up_waiting_takes_no_turn_and_nothing_is_remembered():
    turns, inside, leave = Turns(1, 1), [], asyncio.Event()
    first, second = [asyncio.create_task(enter(turns, "a", inside, leave)) for _ in range(2)]
    await settle()
    assert inside == ["a"]
    second.cancel()
    await asyncio.wait({second})
    leave.set()
    await first
    async with asyncio.timeout(5), turns.of("a"):
        assert list(turns._lines) == ["a"]
    assert turns._lines == {}
