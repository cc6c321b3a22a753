"""A CPython unit inside the test, beside a broker and a gateway that answers as it is told."""

import asyncio
import json

from pepeunit import Unit
from tests.support.cpython_unit import DEADLINE, QUICK, lay_out
from tests.support.device_server import Answer, digest, packed
from tests.support.micropython import DOMAIN, NODES, UUID, env, schema

__all__ = [
    "ENV",
    "FIRMWARE",
    "NEXT",
    "OLD",
    "SCHEMA",
    "STATE",
    "TARGET",
    "UPDATE",
    "Bench",
    "command",
    "ends",
    "node",
]

NEXT = "b" * 40
FIRMWARE = "/units/firmware/tgz/{unit}"
ENV = "/units/env/{unit}"
SCHEMA = "/units/get_current_schema/{unit}"
TARGET = "/units/get_target_version/{unit}"
UPDATE = json.dumps({"COMMAND": "Update", "PU_COMMIT_VERSION": NEXT})
STATE = f"{DOMAIN}/output_base_topic/{UUID}/state/pepeunit"
OLD = {"main.py": b"old", "notes.txt": b"of the user"}


def command(name):
    return f"{DOMAIN}/input_base_topic/{UUID}/{name}/pepeunit"


def node(name):
    return f"{DOMAIN}/{NODES[name]}/pepeunit"


class Bench:
    """A unit inside the test, a broker and a gateway that answers as it is told."""

    def __init__(self, directory, broker, server):
        self.directory, self.broker, self.server = directory, broker, server
        self.env = env(server.port, broker.port)
        lay_out(directory, self.env, schema())
        for name, data in OLD.items():
            (directory / name).write_bytes(data)
        self.unit = self.start()

    def start(self):
        self.unit = Unit(self.directory, pace=QUICK)
        # A stalled server is given up after a second instead of fifteen.
        self.unit._device.rest._timeout = 1.0
        return self.unit

    def files(self, **changes):
        return {
            "main.py": b"new",
            "lib/part.py": b"# part\n" * 2000,
            "env.json": json.dumps({**self.env, "PU_COMMIT_VERSION": NEXT}).encode(),
            "schema.json": json.dumps(schema()).encode(),
            **changes,
        }

    def offer(self, tar, **changes):
        body = packed(tar, 15)
        answer = Answer(**{"body": body, "headers": digest(body), **changes})
        self.server.answers.setdefault(FIRMWARE, []).append(answer)

    def installed(self):
        return json.loads((self.directory / ".pepeunit/installed.json").read_text())

    async def command(self, name, payload=""):
        """Send a command when the unit is there to hear it."""
        await self.broker.until(lambda: self.broker.payloads(STATE))
        await self.broker.send(command(name), payload)


async def ends(task):
    async with asyncio.timeout(DEADLINE):
        return await asyncio.shield(task)
