"""An edge tells the uuids of both its nodes, so it is listed only to who may know them; so are the filters by node."""

import pytest
import pytest_asyncio

from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Pair:
    """An Output of Alice's unit that feeds an Input of Bob's unit; Carol has a unit that is linked to neither."""

    async def make(self, here):
        self.here, self.carol = here, await here.gateway.user("carol")
        units = [await make_unit(owner, here.repo["uuid"], f"{name}-unit") for owner, name in self._owners()]
        nodes = [await nodes_of(here.alice, unit["uuid"]) for unit in units]
        self.output, self.target = nodes[0]["raw_out"]["uuid"], nodes[1]["raw_in"]["uuid"]
        self.spare = nodes[1]["raw_out"]["uuid"]
        self.units = [
            await here.gateway.unit(owner, unit["uuid"]) for (owner, _), unit in zip(self._owners(), units, strict=True)
        ]
        body = {"node_output_uuid": self.output, "node_input_uuid": self.target}
        self.edge = await here.bob.made("/unit_nodes/create_unit_node_edge", body)
        return self

    def _owners(self):
        return ((self.here.alice, "alices"), (self.here.bob, "bobs"), (self.carol, "carols"))

    async def levels(self, output, target):
        for owner, node, level in ((self.here.alice, self.output, output), (self.here.bob, self.target, target)):
            assert (await owner.patch(f"/unit_nodes/{node}", {"visibility_level": level})).status == 200

    def callers(self):
        here, (sender, receiver, other) = self.here, self.units
        people = {"nobody": here.nobody, "alice": here.alice, "bob": here.bob, "carol": self.carol, "admin": here.admin}
        return {**people, "sender": sender, "receiver": receiver, "other": other}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as here:
        yield await Pair().make(here)


OWNERS = {"alice", "bob", "admin", "sender", "receiver"}
KNOWN = OWNERS | {"carol", "other"}
ALL = KNOWN | {"nobody"}


@pytest.mark.parametrize(
    ("output", "target", "listed", "linked"),
    [
        ("Public", "Public", ALL, ALL),
        ("Internal", "Public", KNOWN, KNOWN),
        ("Public", "Private", OWNERS, OWNERS - {"alice"}),
        ("Private", "Public", OWNERS, OWNERS - {"bob"}),
        ("Private", "Private", OWNERS, OWNERS - {"alice", "bob"}),
    ],
)
async def test_an_edge_is_listed_to_who_sees_both_ends_or_owns_one(pair, output, target, listed, linked):
    """`linked` are told what an Output feeds and what feeds an Input: who sees both nodes, and nobody else."""
    await pair.levels(output, target)
    found = {name: set() for name in ("edges", "of the output", "of the input", "fed", "feeding")}
    units = {"is_include_output_unit_nodes": "true", "unit_node_input_uuid": pair.target}
    for name, caller in pair.callers().items():
        asked = {
            "edges": ("/unit_nodes/edges", {}),
            "of the output": ("/unit_nodes/edges", {"unit_node_uuid": pair.output}),
            "of the input": ("/unit_nodes/edges", {"unit_node_uuid": pair.target}),
            "fed": ("/unit_nodes", {"output_uuid": pair.output}),
            "feeding": ("/units", units),
        }
        for question, (path, params) in asked.items():
            reply = await caller.get(path, params)
            assert reply.status == 200
            (plural,) = reply.body.keys() - {"count"}
            assert reply.body["count"] == len(reply.body[plural]) <= 1, (name, question)
            if reply.body["count"]:
                found[question].add(name)
    assert found == {
        "edges": listed, "of the output": listed, "of the input": listed, "fed": linked, "feeding": linked
    }  # fmt: skip


async def test_a_node_that_is_hidden_cannot_be_told_from_one_that_does_not_exist(pair):
    """The Input that is fed is Public, the Output that feeds it is not: asking by the Output tells nothing."""
    for levels in (("Private", "Public"), ("Public", "Private")):
        await pair.levels(*levels)
        hidden, told = (pair.output, "output_uuid") if levels[0] == "Private" else (pair.target, "unit_node_input_uuid")
        path, more = ("/unit_nodes", {}) if told == "output_uuid" else ("/units", {"is_include_output_unit_nodes": "1"})
        for caller in (pair.here.nobody, pair.carol, pair.units[2]):
            replies = [await caller.get(path, {**more, told: uuid}) for uuid in (hidden, MISSING, pair.spare)]
            assert [(reply.status, reply.body["count"]) for reply in replies] == [(200, 0)] * 3
            assert len({str(reply.body) for reply in replies}) == 1


async def test_who_made_an_edge_goes_on_seeing_it_when_both_its_nodes_are_hidden_and_another_s(pair):
    """Carol linked two nodes of other people, the Input by a permission that ended since."""
    await pair.levels("Public", "Public")
    grant = {"agent_uuid": pair.carol.uuid, "agent_type": "User"}
    await pair.here.bob.made("/permission", {**grant, "resource_uuid": pair.target, "resource_type": "UnitNode"})
    spare = (await nodes_of(pair.here.alice, pair.units[0].uuid))["temperature/pepeunit"]["uuid"]
    body = {"node_output_uuid": spare, "node_input_uuid": pair.target}
    edge = await pair.carol.made("/unit_nodes/create_unit_node_edge", body)
    params = {"agent_uuid": pair.carol.uuid, "resource_uuid": pair.target}
    assert (await pair.here.bob.delete("/permission/x", params=params)).status == 204
    await pair.levels("Private", "Private")
    assert (await pair.here.alice.patch(f"/unit_nodes/{spare}", {"visibility_level": "Private"})).status == 200
    listed = (await pair.carol.get("/unit_nodes/edges", {"unit_node_uuid": spare})).body
    assert listed == {"count": 1, "unit_node_edges": [edge]}
    assert (await pair.here.nobody.get("/unit_nodes/edges", {"unit_node_uuid": spare})).body["count"] == 0
    assert (await pair.carol.delete(f"/unit_nodes/edges/{edge['uuid']}")).status == 204
