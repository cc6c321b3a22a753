"""One act is one transaction: whatever fails on the way, nothing of it is left (W28); uniqueness is kept under
concurrency (W31); a private Repo's uuid opens nothing (W7)."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole, VisibilityLevel
from pepeunit_gateway.access.permissions import HolderType, ResourceType
from pepeunit_gateway.errors import ApiError
from pepeunit_gateway.registry.entities import GitPlatform
from pepeunit_gateway.registry.nodes import NodeChange
from pepeunit_gateway.registry.permissions import NewPermission
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.repos import NewRepo, RepoChange
from pepeunit_gateway.registry.repositories import NewRepository
from pepeunit_gateway.registry.units import NewUnit, UnitChange
from pepeunit_gateway.storage.tables import units
from tests.support.gateway import Api, GatewayUnderTest
from tests.support.git_server import GitServer
from tests.support.sample_program import make_repo, make_unit, nodes_of, sample_tree
from tests.support.statements import InjectedError, fail_write, snapshot

BOTH_DATABASES = True


@pytest.fixture
def server(tmp_path):
    with GitServer(tmp_path / "served") as server:
        yield server


@pytest.fixture
async def gateway(tmp_path):
    # the jobs run once at the start and then stay away from the statements that the tests count
    async with GatewayUnderTest(tmp_path / "data", repo_poll_interval=3600) as gateway:
        yield gateway


class Stage:
    """A user with a Repo and two units, the same user as an agent of the registry, and the Admin."""

    def __init__(self, gateway: GatewayUnderTest, owner: Api, admin: Api, names: dict[str, Any]) -> None:
        self.gateway, self.owner, self.names = gateway, owner, names
        self.agent = Agent(AgentType.USER, UUID(owner.uuid), UserRole.USER)
        self.admin_uuid = UUID(admin.uuid)
        self.admin = Agent(AgentType.USER, self.admin_uuid, UserRole.ADMIN)

    @property
    def registry(self) -> Registry:
        return self.gateway.registry


@pytest.fixture
async def stage(gateway, server, tmp_path):
    owner = await gateway.user("alice")
    sample_tree(server, tmp_path)
    registry, repo = await make_repo(owner, server.url("sample"), "sample")
    first, second = [await make_unit(owner, repo["uuid"], name) for name in ("first", "second")]
    stage = Stage(
        gateway,
        owner,
        await gateway.admin(),
        {
            "registry": registry["uuid"],
            "repo": repo["uuid"],
            "first": first["uuid"],
            "second": second["uuid"],
            "output": (await nodes_of(owner, first["uuid"]))["temperature/pepeunit"]["uuid"],
            "input": (await nodes_of(owner, second["uuid"]))["set_fan/pepeunit"]["uuid"],
        },
    )
    await stage.registry.permissions.grant(stage.agent, _given(stage))
    return stage


Act = Callable[[Stage], Awaitable[object]]


def _uuid(stage: Stage, name: str) -> UUID:
    return UUID(stage.names[name])


def _given(stage: Stage) -> NewPermission:
    """A permission that the Admin holds from the beginning."""
    return NewPermission(stage.admin_uuid, HolderType.USER, _uuid(stage, "first"), ResourceType.UNIT)


ACTS: dict[str, Act] = {
    "create a Repo": lambda s: s.registry.repos.create(
        s.agent, NewRepo(_uuid(s, "registry"), "main", VisibilityLevel.PUBLIC, "other", is_compilable_repo=False)
    ),
    "create a unit": lambda s: s.registry.units.create(
        s.agent, NewUnit(_uuid(s, "repo"), VisibilityLevel.PUBLIC, "third", is_auto_update_from_repo_unit=True)
    ),
    "create a batch of units": lambda s: s.registry.units.create_batch(
        s.agent,
        [
            NewUnit(_uuid(s, "repo"), VisibilityLevel.PUBLIC, name, is_auto_update_from_repo_unit=True)
            for name in ("fourth", "fifth")
        ],
        "one-key",
    ),
    "create an edge": lambda s: s.registry.edges.create(s.agent, _uuid(s, "output"), _uuid(s, "input")),
    "change a node": lambda s: s.registry.nodes.edit(
        s.agent, _uuid(s, "input"), NodeChange(is_rewritable_input=True, max_connections=3)
    ),
    "change a Repo": lambda s: s.registry.repos.edit(s.agent, _uuid(s, "repo"), RepoChange(name="renamed")),
    "change a unit": lambda s: s.registry.units.edit(
        s.agent, _uuid(s, "first"), UnitChange(name="renamed", visibility_level=VisibilityLevel.PRIVATE)
    ),
    "block a user": lambda s: s.registry.users.block(s.admin, s.agent.uuid),
    "give a permission": lambda s: s.registry.permissions.grant(
        s.agent, NewPermission(_uuid(s, "second"), HolderType.UNIT, _uuid(s, "output"), ResourceType.UNIT_NODE)
    ),
    "take a permission away": lambda s: s.registry.permissions.revoke(
        s.agent, holder=_given(s).agent_uuid, resource=_given(s).resource_uuid
    ),
    "command a unit": lambda s: s.registry.updates.update_unit(_uuid(s, "first"), force=True),
    "register a user": lambda s: s.registry.users.create_admin("someone", "correct-horse-9"),
}


SHORT = {"block a user", "change a Repo", "register a user"}  # one statement besides the look at the row
TOLD = {"block a user", "give a permission", "register a user", "take a permission away"}  # to the trail, by one row


async def _strike(stage: Stage, act: Act, number: int, *, after: bool) -> bool:
    """Run the act with a fault at its `number`-th statement; False if it has fewer and so was done."""
    with fail_write(stage.registry.context.database, number, after=after) as counter:
        try:
            await act(stage)
        except InjectedError:
            return True
    assert counter.count == number - 1, "an injected fault was swallowed"
    return False


@pytest.mark.parametrize("name", ACTS)
async def test_a_failure_at_any_statement_leaves_nothing_of_the_act(stage, name):
    """W28: a fault before and after every SQL statement of the act, until it has no more statements."""
    act, database = ACTS[name], stage.registry.context.database
    before = await snapshot(database)
    for number in itertools.count(1):
        if not await _strike(stage, act, number, after=False):
            break
        assert await snapshot(database) == before
        assert await _strike(stage, act, number, after=True)
        assert await snapshot(database) == before
    assert number > (2 if name in SHORT else 3), "the act wrote less than expected"
    after = await snapshot(database)
    assert after != before, "without a fault the act has an effect"
    assert len(after["audit"]) == len(before["audit"]) + (name in TOLD)


async def test_an_edge_whose_schema_cannot_be_read_is_stored_and_answered_as_stored(stage):
    """W28: the edge and its command are one act; an unreadable schema takes only the command away."""
    async with asyncio.timeout(10):
        await stage.registry.context.mirrors.remove(_uuid(stage, "registry"))
    reply = await stage.owner.post(
        "/unit_nodes/create_unit_node_edge",
        {"node_output_uuid": stage.names["output"], "node_input_uuid": stage.names["input"]},
    )
    assert reply.status == 201, reply.body
    listed = await stage.owner.get("/unit_nodes/edges")
    assert [edge["uuid"] for edge in listed.body["unit_node_edges"]] == [reply.body["uuid"]]


async def _race(count: int, make: Callable[[int], Awaitable[object]]) -> tuple[list[object], list[ApiError]]:
    outcomes = await asyncio.gather(*(make(number) for number in range(count)), return_exceptions=True)
    made = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, ApiError)]
    assert len(made) + len(refused) == count, outcomes
    return made, refused


async def test_what_a_change_of_a_repo_is_answered_is_what_is_stored_whatever_fails_at_its_units(stage):
    """W28: the commands to the units are acts of their own; a fault there leaves them to the next look."""
    registry, uuid = stage.registry, _uuid(stage, "repo")

    async def name() -> str:
        return (await registry.repos.get(stage.agent, uuid)).name

    async def stale() -> None:
        async with registry.context.act() as act:
            await act.connection.execute(units.update().values(synced_commit=None, firmware_update_status=None))

    refused = stored = 0
    for number in itertools.count(1):
        await stale()
        before, wanted = await name(), f"name-{number}"
        with fail_write(registry.context.database, number, after=False) as counter:
            try:
                await registry.repos.edit(stage.agent, uuid, RepoChange(name=wanted))
            except InjectedError:
                refused += 1
                assert await name() == before
            else:
                stored += 1
                assert await name() == wanted
        if counter.count < number:
            break
        await registry.updates.update_all()
    assert (refused > 1, stored > 3) == (True, True), (refused, stored)
    async with registry.context.database.read() as connection:
        found = (await connection.execute(select(units.c.synced_commit))).scalars().all()
    assert len(found) == 2
    assert None not in found


def _register(stage: Stage) -> Awaitable[object]:
    """A repository that nobody serves: it is registered all the same."""
    url = "http://127.0.0.1:1/nobody.git"
    return stage.registry.repositories.create(stage.agent, NewRepository(GitPlatform.GIT, url, True))  # noqa: FBT003 - is_public_repository, by position


RACES = {
    **{name: ACTS[name] for name in ("create a Repo", "create a unit", "create an edge", "register a user")},
    "register a repository": _register,
}


@pytest.mark.parametrize("name", RACES)
async def test_of_ten_equal_acts_at_once_one_succeeds_and_nine_conflict(stage, name):
    """W31."""
    made, refused = await _race(10, lambda _: RACES[name](stage))
    assert len(made) == 1
    assert {error.status for error in refused} == {409}


async def test_of_two_units_that_are_renamed_alike_at_once_one_gets_the_name(stage):
    """W31."""
    made, refused = await _race(
        2,
        lambda number: stage.registry.units.edit(
            stage.agent, _uuid(stage, ("first", "second")[number]), UnitChange(name="same-name")
        ),
    )
    assert (len(made), [error.status for error in refused]) == (1, [409])


async def test_the_last_place_of_a_node_is_given_once(stage):
    """W31: max_connections holds under concurrency too."""
    await stage.registry.nodes.edit(stage.agent, _uuid(stage, "input"), NodeChange(max_connections=1))
    nodes = await nodes_of(stage.owner, stage.names["first"])
    outputs = [UUID(nodes[name]["uuid"]) for name in ("temperature/pepeunit", "raw_out")]
    made, refused = await _race(
        2, lambda number: stage.registry.edges.create(stage.agent, outputs[number], _uuid(stage, "input"))
    )
    assert (len(made), [error.status for error in refused]) == (1, [422])


async def test_the_first_of_many_who_register_at_once_is_the_only_admin(tmp_path):
    """W31, with PU_REGISTRATION=open."""
    async with GatewayUnderTest(tmp_path / "data", registration="open") as gateway:
        replies = await asyncio.gather(
            *(
                gateway.nobody.post("/users", {"login": f"user{number}", "password": "correct-horse-9"})
                for number in range(6)
            )
        )
    assert [reply.status for reply in replies] == [201] * 6
    assert sorted(reply.body["role"] for reply in replies) == ["Admin", *["User"] * 5]


@pytest.mark.parametrize(
    ("level", "status"), [("Public", 201), ("Internal", 201), ("Private", 403)], ids=["public", "internal", "private"]
)
async def test_knowing_the_uuid_of_a_private_repo_is_not_enough_to_make_a_unit_of_it(stage, level, status):
    """W7."""
    changed = await stage.owner.patch(f"/units/{stage.names['first']}", {"visibility_level": level})
    assert changed.status == 200, changed.body
    changed = await stage.owner.patch(f"/units/{stage.names['second']}", {"visibility_level": level})
    assert changed.status == 200, changed.body
    changed = await stage.owner.patch(f"/repos/{stage.names['repo']}", {"visibility_level": level})
    assert changed.status == 200, changed.body
    mallory = await stage.gateway.user("mallory")
    before = await snapshot(stage.registry.context.database)
    body = {
        "repo_uuid": stage.names["repo"],
        "visibility_level": "Private",
        "name": "stolen",
        "is_auto_update_from_repo_unit": True,
    }
    reply = await mallory.post("/units", body)
    assert reply.status == status, reply.body
    if status == 403:
        assert await snapshot(stage.registry.context.database) == before
