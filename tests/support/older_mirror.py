"""A unit of two gateways of which the second has an older mirror, and what that one can be asked for.

behind = await Behind.make(pair)            # a newer commit is pushed, nobody has fetched it
nodes = await behind.seen_by_one()          # the first gateway has; the second was not told
reply = await behind.ask_two(*READS[0])
"""

import json
from typing import Any, Self
from uuid import UUID

from sqlalchemy import select

from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.storage.own_tables import outbox
from tests.support.gateway import Reply
from tests.support.sample_program import SCHEMA_EXAMPLE, make_unit, nodes_of
from tests.support.two_gateways_inside import Pair

__all__ = ["BUTTONS", "MAKING", "READS", "Behind"]

READS = (
    ("get", "/units/get_current_schema/{unit}"),
    ("get", "/units/env/{unit}"),
    ("get", "/units/firmware/tar/{unit}"),
    ("get", "/units/get_target_version/{unit}"),
    ("post", "/units/send_command_to_input_base_topic/{unit}?command=SchemaUpdate"),
)
BUTTONS = (
    ("patch", "/units/{unit}", {"is_auto_update_from_repo_unit": True}),
    ("patch", "/repos/update_units_firmware/{repo}"),
    ("post", "/units/send_command_to_input_base_topic/{unit}?command=Update"),
)
MAKING = (
    "post",
    "/units",
    {
        "repo_uuid": "{repo}",
        "visibility_level": "Public",
        "name": "made-there",
        "is_auto_update_from_repo_unit": True,
    },
)


class Behind:
    """A unit whose nodes follow a commit that the first gateway has seen and the second has not."""

    def __init__(self, pair: Pair, unit: str) -> None:
        self.pair, self.unit = pair, unit
        self.registry = UUID(pair.one.registry["uuid"])
        self.tree = pair.one.tree
        self.contexts = [gateway.registry.context for gateway in pair.gateways]
        self.old = self.new = self.tree.head()

    @classmethod
    async def make(cls, pair: Pair) -> Self:
        contexts = [gateway.registry.context for gateway in pair.gateways]
        for context in contexts:  # whatever the test before left
            await sync_repository(context, UUID(pair.one.registry["uuid"]), told=True)
        number = len((await pair.one.alice.get("/units")).body["units"])
        made = cls(pair, (await make_unit(pair.one.alice, pair.one.repo["uuid"], f"unit-{number}"))["uuid"])
        made.new = made.push(f"pressure-{number}")
        return made

    def push(self, name: str) -> str:
        """Push a program with this node alone beside the inputs, and return its commit."""
        self.tree.write("schema_example.json", json.dumps({**SCHEMA_EXAMPLE, "output_topic": [name]}))
        commit = self.tree.commit(name)
        self.tree.push()
        return commit

    async def seen_by_one(self) -> dict[str, str]:
        """Let the first gateway fetch and the nodes follow; return them."""
        await sync_repository(self.contexts[0], self.registry, told=True)  # and tells nobody
        reply = await self.pair.one.alice.get(f"/units/get_current_schema/{self.unit}")
        assert reply.status == 200, reply.body
        return await self.nodes()

    async def nodes(self) -> dict[str, str]:
        """Return the uuids of the unit's nodes by their names."""
        return {name: node["uuid"] for name, node in (await nodes_of(self.pair.one.alice, self.unit)).items()}

    async def ask_two(self, method: str, path: str, body: Any = None) -> Reply:
        """Ask the second gateway for one of the requests above."""
        names = {"unit": self.unit, "repo": self.pair.one.repo["uuid"]}
        text = None if body is None else json.loads(json.dumps(body).replace("{repo}", names["repo"]))
        api = self.pair.there(self.pair.one.alice)
        address = path.format(**names)
        return await (api.get(address) if method == "get" else getattr(api, method)(address, text))

    def heads(self) -> list[str]:
        """Return the newest commit that each gateway has fetched."""
        return [context.mirrors.head(self.registry, "main") for context in self.contexts]

    async def commanded(self) -> set[str]:
        """The commits of the Updates to the unit that were ever queued."""
        query = select(outbox.c.payload).where(outbox.c.unit_uuid == UUID(self.unit), outbox.c.command == "Update")
        async with self.contexts[0].database.read() as connection:
            rows = (await connection.execute(query)).scalars()
            return {json.loads(payload)["PU_COMMIT_VERSION"] for payload in rows}
