"""Every filter and order of the lists (protocol/rest.md 2.2), on both databases."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from pepeunit_gateway.storage.tables import repos, repository_registry, units, units_nodes
from tests.support.rest_world import MISSING, World, world
from tests.support.sample_program import make_repo, make_unit, nodes_of, sample_tree

BOTH_DATABASES = True

pytestmark = pytest.mark.asyncio(loop_scope="module")

A, B, C, D = "unit-a", "unit_b", "UNIT.C", "unit-d"


@dataclass(frozen=True)
class Shelf:
    """Alice's units A to C and Bob's D. A and B are of Alice's Repo, C and D of Bob's, on a repository of its own."""

    here: World
    units: dict[str, dict[str, Any]]
    nodes: dict[str, dict[str, dict[str, Any]]]
    registry: dict[str, Any]
    repo: dict[str, Any]

    def fill(self, text: str) -> str:
        """Put uuids in: {A} a unit, {out} and {in} the ends of the edge, {first} and {second} the Repos."""
        return text.format(
            **{letter: self.units[name]["uuid"] for letter, name in (("A", A), ("B", B), ("C", C), ("D", D))},
            out=self.nodes[A]["temperature/pepeunit"]["uuid"],
            raw=self.nodes[A]["raw_out"]["uuid"],
            **{"in": self.nodes[B]["set_fan/pepeunit"]["uuid"]},
            alice=self.here.alice.uuid,
            bob=self.here.bob.uuid,
            first=self.here.repo["uuid"],
            second=self.repo["uuid"],
            registry=self.here.registry["uuid"],
            other=self.registry["uuid"],
            none=MISSING,
        )

    async def list(self, path: str, query: str, key: str) -> list[str]:
        """Ask as Alice and return one field of each row, in order; `count` must agree."""
        params = [tuple(part.split("=", 1)) for part in self.fill(query).split("&") if part]
        reply = await self.here.alice.get(path, params)
        assert reply.status == 200, reply.body
        (plural,) = reply.body.keys() - {"count"}
        assert reply.body["count"] == len(reply.body[plural])
        return [row[key] for row in reply.body[plural]]


async def _spread(here: World, tables: dict[Any, list[str]]) -> None:
    """Give rows times of their own: a second apart, changed in the opposite order."""
    now = here.gateway.registry.context.clock().replace(microsecond=0)
    async with here.gateway.registry.context.database.write() as connection:
        for table, uuids in tables.items():
            for number, uuid in enumerate(uuids):
                second = timedelta(seconds=number)
                times = {"create_datetime": now + second, "last_update_datetime": now - second}
                await connection.execute(table.update().where(table.c.uuid == UUID(uuid)).values(times))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shelf(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as here:
        tree = sample_tree(here.git, here.folder / "second", "second_one")
        registry, repo = await make_repo(
            here.bob, here.git.url("second_one"), "repo.other", visibility_level="Internal"
        )
        pinned = {"is_auto_update_from_repo_unit": False, "repo_branch": "main", "repo_commit": tree.head()}
        made = [
            await make_unit(here.alice, here.repo["uuid"], A),
            await make_unit(here.alice, here.repo["uuid"], B, visibility_level="Private"),
            await make_unit(here.alice, repo["uuid"], C, visibility_level="Internal", **pinned),
            await make_unit(here.bob, repo["uuid"], D, visibility_level="Internal"),
        ]
        nodes = {unit["name"]: await nodes_of(here.alice, unit["uuid"]) for unit in made}
        ends = nodes[A]["temperature/pepeunit"]["uuid"], nodes[B]["set_fan/pepeunit"]["uuid"]
        edge = dict(zip(("node_output_uuid", "node_input_uuid"), ends, strict=True))
        await here.alice.made("/unit_nodes/create_unit_node_edge", edge)
        await _spread(
            here,
            {
                units: [unit["uuid"] for unit in made],
                repos: [here.repo["uuid"], repo["uuid"]],
                repository_registry: [here.registry["uuid"], registry["uuid"]],
                units_nodes: [node["uuid"] for name in (A, B, C, D) for _, node in sorted(nodes[name].items())],
            },
        )
        yield Shelf(here, {unit["name"]: unit for unit in made}, nodes, registry, repo)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [D, C, B, A]),
        ("uuids={A}&uuids={C}&uuids={none}", [C, A]),
        ("creator_uuid={bob}", [D]),
        ("repo_uuid={first}", [B, A]),
        ("repos_uuids={second}", [D, C]),
        ("repos_uuids={first}&repos_uuids={second}&creator_uuid={alice}", [C, B, A]),
        ("repo_uuid={first}&repos_uuids={second}", []),
        ("search_string=unit", [D, C, B, A]),
        ("search_string=UNIT-", [D, A]),
        ("search_string=c unit", [C]),
        ("search_string=unit nothing", []),
        ("search_string=_", [B]),
        ("search_string=%25", []),
        ("search_string=%", []),
        ("search_string=  ", [D, C, B, A]),
        ("search_string=\\", []),
        ("is_auto_update_from_repo_unit=false", [C]),
        ("is_auto_update_from_repo_unit=true", [D, B, A]),
        ("visibility_level=Private", [B]),
        ("visibility_level=Public&visibility_level=Internal", [D, C, A]),
        ("order_by_create_date=asc", [A, B, C, D]),
        ("order_by_create_date=asc&order_by_last_update=asc&order_by_unit_name=desc", [A, B, C, D]),
        ("unknown=1", [D, C, B, A]),
        ("unit_node_uuids={none}", [D, C, B, A]),  # filters of nodes count only where nodes are asked for
    ],
)
async def test_units_are_filtered_and_ordered(shelf, query, expected):
    assert await shelf.list("/units", query, "name") == expected


async def test_the_later_orders_break_ties_of_the_earlier(shelf):
    database = shelf.here.gateway.registry.context.database
    now = shelf.here.gateway.registry.context.clock().replace(microsecond=0)
    before = [unit["uuid"] for unit in shelf.units.values()]
    same = {"create_datetime": now, "last_update_datetime": now}
    async with database.write() as connection:
        await connection.execute(units.update().values(same))
    assert await shelf.list("/units", "", "name") == [C, A, D, B], "names sort by their bytes"
    assert await shelf.list("/units", "order_by_unit_name=desc", "name") == [B, D, A, C]
    async with database.write() as connection:
        later = units.update().where(units.c.uuid == UUID(shelf.units[D]["uuid"]))
        await connection.execute(later.values(last_update_datetime=now + timedelta(seconds=1)))
    assert await shelf.list("/units", "", "name") == [D, C, A, B]
    assert await shelf.list("/units", "order_by_last_update=asc", "name") == [C, A, B, D]
    await _spread(shelf.here, {units: before})


NODES = "is_include_output_unit_nodes=true"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {A: 4, B: 4, C: 4, D: 4}),
        ("&unit_node_type=Output", {A: 2, B: 2, C: 2, D: 2}),
        ("&unit_node_type=Output&unit_node_type=Input&repo_uuid={first}", {A: 4, B: 4}),
        ("&unit_node_uuids={out}&unit_node_uuids={in}", {A: 1, B: 1}),
        ("&unit_node_uuids={out}&unit_node_uuids={in}&unit_node_type=Input", {B: 1}),
        ("&unit_node_input_uuid={in}", {A: 1}),
        (
            "&unit_node_input_uuid={in}&unit_node_type=Input",
            {A: 1},
        ),  # then only Outputs are asked for, whatever is said
        ("&unit_node_input_uuid={none}", {}),
        ("&unit_node_uuids={none}", {}),
        ("&search_string=unit-&unit_node_type=Input", {A: 2, D: 2}),
    ],
)
async def test_units_come_with_the_nodes_that_are_asked_for(shelf, query, expected):
    params = [tuple(part.split("=")) for part in shelf.fill(NODES + query).split("&")]
    reply = await shelf.here.alice.get("/units", params)
    assert (reply.status, reply.body["count"]) == (200, len(expected)), reply.body
    assert {unit["name"]: len(unit["unit_nodes"]) for unit in reply.body["units"]} == expected
    for unit in reply.body["units"]:
        assert all(node["unit_uuid"] == unit["uuid"] for node in unit["unit_nodes"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["repo.other", "sample-repo"]),
        ("uuids={first}", ["sample-repo"]),
        ("repository_registry_uuid={other}", ["repo.other"]),
        ("creator_uuid={alice}", ["sample-repo"]),
        ("creators_uuids={bob}", ["repo.other"]),
        ("creators_uuids={alice}&creators_uuids={bob}", ["repo.other", "sample-repo"]),
        ("creator_uuid={alice}&creators_uuids={bob}", []),
        ("search_string=REPO", ["repo.other", "sample-repo"]),
        ("search_string=second_one", ["repo.other"]),  # the address
        ("search_string=main", ["repo.other", "sample-repo"]),  # the branch
        ("search_string=main other second", ["repo.other"]),  # each word in another column
        ("search_string=second.one", []),
        ("is_auto_update_repo=false", []),
        ("is_auto_update_repo=true&visibility_level=Internal", ["repo.other"]),
        ("order_by_create_date=asc", ["sample-repo", "repo.other"]),
        ("order_by_create_date=asc&order_by_last_update=desc", ["sample-repo", "repo.other"]),
    ],
)
async def test_repos_are_filtered_and_ordered(shelf, query, expected):
    assert await shelf.list("/repos", query, "name") == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["second_one", "sample"]),
        ("uuids={registry}", ["sample"]),
        ("creator_uuid={bob}", ["second_one"]),
        ("search_string=SECOND git", ["second_one"]),
        ("search_string=second-one", []),
        ("is_public_repository=true&order_by_create_date=asc", ["sample", "second_one"]),
        ("is_public_repository=false", []),
    ],
)
async def test_repositories_are_filtered_and_ordered(shelf, query, expected):
    found = await shelf.list("/repository_registry", query, "repository_url")
    assert [url.rpartition("/")[2].removesuffix(".git") for url in found] == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("unit_uuid={A}", ["temperature/pepeunit", "set_fan/pepeunit", "raw_out", "raw_in"]),
        ("unit_uuid={A}&order_by_create_date=asc", ["raw_in", "raw_out", "set_fan/pepeunit", "temperature/pepeunit"]),
        ("uuids={out}&uuids={in}", ["set_fan/pepeunit", "temperature/pepeunit"]),
        ("output_uuid={out}", ["set_fan/pepeunit"]),
        ("output_uuid={raw}", []),
        ("unit_uuid={A}&type=Input", ["set_fan/pepeunit", "raw_in"]),
        ("unit_uuid={A}&type=Input&type=Output&search_string=RAW _", ["raw_out", "raw_in"]),
        ("unit_uuid={B}&visibility_level=Public", []),
        ("unit_uuid={B}&visibility_level=Private&search_string=pepeunit", ["temperature/pepeunit", "set_fan/pepeunit"]),
    ],
)
async def test_nodes_are_filtered_and_ordered(shelf, query, expected):
    assert await shelf.list("/unit_nodes", query, "topic_name") == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"alice", "bobby", "root-admin"}),
        ("uuids={alice}", {"alice"}),
        ("search_string=B", {"bobby"}),
        ("role=Admin", {"root-admin"}),
        ("role=User&role=Admin&status=Unverified", {"alice", "bobby", "root-admin"}),
        ("status=Blocked", set()),
    ],
)
async def test_users_are_filtered(shelf, query, expected):
    assert set(await shelf.list("/users", query, "login")) == expected


async def test_a_page_is_a_cut_of_the_whole_and_counts_all(shelf):
    """decisions.md 5: no limit and 0 mean 100."""
    whole = await shelf.list("/units", "", "name")
    for query, expected in (
        ({"limit": 2}, whole[:2]),
        ({"limit": 2, "offset": 2}, whole[2:]),
        ({"limit": 0, "offset": 0}, whole),
        ({"offset": 3}, whole[3:]),
        ({"limit": 500}, whole),
    ):
        reply = await shelf.here.alice.get("/units", query)
        assert (reply.body["count"], [unit["name"] for unit in reply.body["units"]]) == (4, expected)
    for query, said in (
        ({"limit": 501}, "limit must be <= 500"),
        ({"limit": -1}, "limit must be >= 0"),
        ({"offset": -1}, "offset must be >= 0"),
    ):
        reply = await shelf.here.alice.get("/units", query)
        assert (reply.status, reply.detail) == (422, said)


async def test_a_filter_of_a_kind_that_does_not_exist_is_refused(shelf):
    for path, query in (
        ("/units", {"visibility_level": "Everybody"}),
        ("/units", {"unit_node_type": "Both"}),
        ("/unit_nodes", {"type": "input"}),
        ("/users", {"role": "Root"}),
        ("/repos", {"order_by_create_date": "DESC"}),
    ):
        assert (await shelf.here.alice.get(path, query)).status == 422
