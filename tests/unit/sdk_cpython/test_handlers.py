"""The program's coroutines. Rows S7, S19 of protocol/pitfalls.md."""

import asyncio
import json
from functools import partial

import pytest

from pepeunit import Message
from pepeunit.env import Env
from pepeunit.handlers import Handlers, Inbox, Timer, check_coroutine, keep_time, strays
from pepeunit.log import Log
from pepeunit.schema import parse_schema
from tests.support.micropython import schema

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


class Callable:
    async def __call__(self, *_):
        pass

    async def method(self, *_):
        pass

    def plain(self, *_):
        pass

    async def generator(self, *_):
        yield 1


@pytest.mark.parametrize("function", [Callable(), Callable().method, partial(Callable().method, 1), asyncio.Queue.put])
def test_whatever_is_called_as_a_coroutine_function_is_taken(function):
    check_coroutine(function, "@unit.on_connect")


@pytest.mark.parametrize("function", [Callable().plain, lambda: None, print, Callable().generator, Callable, None, 5])
def test_anything_else_is_refused_with_the_decorators_name(function):
    with pytest.raises(TypeError, match=r"@unit\.on_connect needs an `async def` function"):
        check_coroutine(function, "@unit.on_connect")


def test_handlers_whose_names_the_schema_lacks_are_named_with_the_names_there_are():
    known = parse_schema(json.dumps(schema()).encode())
    inputs = {"fan/pepeunit": [], "temp/pepeunit": [], "Light/pepeunit": []}
    assert strays(Handlers(inputs=inputs, commands={"update": [], "update/pepeunit": []}), known) == (
        "never called, schema.json has no such name: "
        "on_input Light/pepeunit, temp/pepeunit (the Inputs: fan/pepeunit, light/pepeunit); on_command update "
        "(the commands: env_update/pepeunit, log_sync/pepeunit, schema_update/pepeunit, update/pepeunit)"
    )
    assert strays(Handlers(inputs={"fan/pepeunit": []}), known) == ""
    empty = parse_schema(json.dumps(schema(input_topic={})).encode())
    assert strays(Handlers(inputs={"fan/pepeunit": []}), empty).endswith("on_input fan/pepeunit (the Inputs: none)")
