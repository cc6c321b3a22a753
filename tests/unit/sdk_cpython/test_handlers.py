"""The program's coroutines. Rows S7, S19 of protocol/pitfalls.md."""

import asyncio

from pepeunit import Message
from pepeunit.env import Env
from pepeunit.handlers import Inbox, Timer, keep_time
from pepeunit.log import Log

DEADLINE = 10.0


def make_log(directory):
    values = Env({})
    return Log(directory, lambda: values)


def texts(log):
    return "\n".join(log.lines())


async def run_until(task_coroutine, event):
    task = asyncio.create_task(task_coroutine)
    async with asyncio.timeout(DEADLINE):
        await event.wait()
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_exception_in_a_handler_is_logged_with_traceback_and_the_next_message_is_handled_s19_s7(tmp_path):
    seen, done, log = [], asyncio.Event(), make_log(tmp_path)

    async def fail(message):
        seen.append(message.payload)
        if message.payload == b"last":
            done.set()
        message.payload.decode()
        raise KeyError(message.payload)

    inbox = Inbox("fan/pepeunit", [fail], log)
    for payload in (b"\xff\xfe", b"text", b"last"):
        inbox.put(Message("d/x", "fan/pepeunit", payload))
    await run_until(inbox.run(), done)
    assert seen == [b"\xff\xfe", b"text", b"last"]
    assert "UnicodeDecodeError" in texts(log)
    assert "in fail" in texts(log)


async def test_the_oldest_messages_give_way_when_a_handler_is_too_slow_and_the_loss_is_logged(tmp_path):
    seen, done, log = [], asyncio.Event(), make_log(tmp_path)

    async def keep(message):
        seen.append(int(message.text))
        if seen[-1] == 99:
            done.set()

    inbox = Inbox("fan/pepeunit", [keep], log)
    for number in range(100):
        inbox.put(Message("d/x", "fan/pepeunit", b"%d" % number))
    await run_until(inbox.run(), done)
    assert seen == list(range(36, 100))
    assert "36 messages for fan/pepeunit were dropped" in texts(log)


async def test_a_timer_runs_at_once_and_again_after_an_exception_s19(tmp_path):
    runs, done, log = [], asyncio.Event(), make_log(tmp_path)

    async def tick():
        runs.append(1)
        if len(runs) == 3:
            done.set()
        raise ValueError("sensor broken")

    await run_until(keep_time(Timer(0.001, tick), log), done)
    assert "timer tick failed" in texts(log)
    assert "sensor broken" in texts(log)
