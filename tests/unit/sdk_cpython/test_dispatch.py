import asyncio
import json

from pepeunit.dispatch import Dispatch
from pepeunit.handlers import Handlers
from pepeunit.schema import parse_schema
from tests.support.micropython import DOMAIN, NODES, UUID, schema


def test_the_topic_decides_and_never_the_payload():
    served = []
    found = parse_schema(json.dumps(schema()).encode())
    dispatch = Dispatch(lambda: found, Handlers(), {"update/pepeunit": served.append}, None)
    update = b'{"COMMAND": "Update", "PU_COMMIT_VERSION": "x"}'
    dispatch(f"{DOMAIN}/{NODES['fan/pepeunit']}/pepeunit", update)
    dispatch("unknown/topic", update)
    assert served == []
    dispatch(f"{DOMAIN}/input_base_topic/{UUID}/update/pepeunit", b"\xff not json")
    assert [(message.name, message.payload) for message in served] == [("update/pepeunit", b"\xff not json")]


async def test_one_topic_behind_two_names_reaches_both_handlers():
    both = {"a": ["d/1", "d/3"], "b": ["d/2", "d/3"]}
    found = parse_schema(json.dumps(schema(input_topic=both)).encode())
    seen = asyncio.Queue()
    handlers = Handlers(inputs={"a": [seen.put], "b": [seen.put]})
    dispatch = Dispatch(lambda: found, handlers, {}, None)
    tasks = [asyncio.create_task(inbox.run()) for inbox in dispatch.inboxes]
    dispatch("d/3", b"1")
    async with asyncio.timeout(10):
        names = {(await seen.get()).name, (await seen.get()).name}
    assert names == {"a", "b"}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
