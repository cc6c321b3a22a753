"""inbox.py in the real MicroPython."""

from tests.support.micropython import run_script

HEAD = """
import asyncio
from pepeunit.inbox import Inbox
from pepeunit.message import Message

class Log:
    lines = []
    def warning(self, text):
        self.lines.append(text)

async def guard(what, function, *arguments):
    await function(*arguments)

log, seen = Log(), []
"""


def test_messages_are_handled_one_at_a_time_in_order(tmp_path):
    run_script(
        HEAD
        + """
running = 0
async def handler(message):
    global running
    running += 1
    assert running == 1
    await asyncio.sleep_ms(1)
    seen.append(message.payload)
    running -= 1

async def main():
    inbox = Inbox("fan", [handler], log, guard)
    asyncio.create_task(inbox.work())
    for number in range(5):
        inbox.put(Message("t", "fan", b"%d" % number))
    while len(seen) < 5:
        await asyncio.sleep_ms(1)

asyncio.run(main())
assert seen == [b"0", b"1", b"2", b"3", b"4"] and not log.lines
""",
        tmp_path,
    )


def test_the_oldest_give_way_when_it_is_full_and_that_is_told_once(tmp_path):
    run_script(
        HEAD
        + """
async def handler(message):
    seen.append(message.payload)

async def main(size, count):
    inbox = Inbox("fan", [handler], log, guard)
    for number in range(count):
        inbox.put(Message("t", "fan", b"%03d" % number + bytes(size)))
    task = asyncio.create_task(inbox.work())
    await asyncio.sleep_ms(20)
    task.cancel()
    return [int(payload[:3]) for payload in seen]

assert asyncio.run(main(0, 100)) == list(range(84, 100))
assert len(log.lines) == 1 and "fan" in log.lines[0]
seen.clear()
assert asyncio.run(main(6000, 10)) == [8, 9], "its memory is bounded too"
seen.clear()
assert asyncio.run(main(20000, 3)) == [2], "one message always fits"
""",
        tmp_path,
    )
