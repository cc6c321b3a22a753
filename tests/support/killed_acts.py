"""The world in which acts are killed, and the acts. Ids go from one process to the next as text."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole, VisibilityLevel
from pepeunit_gateway.access.permissions import HolderType, ResourceType
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.jobs.outbox_sender import OutboxSender
from pepeunit_gateway.registry.entities import GitPlatform
from pepeunit_gateway.registry.node_reads import NodeFilter
from pepeunit_gateway.registry.outbox import Command, queue_commands
from pepeunit_gateway.registry.permissions import NewPermission
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.repos import NewRepo
from pepeunit_gateway.registry.repositories import NewRepository
from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.registry.units import NewUnit
from pepeunit_gateway.storage.tables import unit_logs, window_entry
from pepeunit_gateway.topics import BackendTopicCommand
from tests.support.gateway import PASSWORD
from tests.support.git_server import WorkTree
from tests.support.sample_program import SCHEMA_EXAMPLE, write_sample

__all__ = ["ACTS", "GOING_ON", "deliveries", "make_world", "push"]

World = dict[str, str]


def _user(world: World, name: str) -> Agent:
    return Agent(AgentType.USER, UUID(world[name]), UserRole.USER)


def _unit(repo: UUID, name: str) -> NewUnit:
    return NewUnit(repo, VisibilityLevel.PUBLIC, name, is_auto_update_from_repo_unit=True)


def _serve(folder: Path, name: str) -> WorkTree:
    bare = folder / f"{name}.git"
    tree = WorkTree.create(folder / name, bare=bare)
    write_sample(tree)
    tree.git("init", "--quiet", "--bare", str(bare))
    tree.push()
    return tree


def _commit_news(tree: WorkTree) -> str:
    """Let the git server have another commit that no branch leads to: a node more, a node less, a changed file."""
    inputs = [*SCHEMA_EXAMPLE["input_topic"][:1], "set_light/pepeunit"]
    tree.write("schema_example.json", json.dumps({**SCHEMA_EXAMPLE, "input_topic": inputs}))
    tree.write("main.py", "print('news')\n")
    old, news = tree.head(), tree.commit("news")
    tree.push()
    _move(tree.bare, old)
    return news


def _move(bare: Path, commit: str) -> None:
    (bare / "refs" / "heads" / "main").write_text(f"{commit}\n")


def push(world: World, which: str) -> None:
    """Let the branch of the repository be at its commit of the world, `old` or `news`."""
    _move(Path(world["bare"]), world[which])


async def _repository(registry: Registry, agent: Agent, bare: Path) -> UUID:
    made = await registry.repositories.create(
        agent, NewRepository(GitPlatform.GIT, bare.as_uri(), is_public_repository=True)
    )
    assert made.sync_error is None, made.sync_error
    return made.uuid


async def _telemetry(registry: Registry, unit: UUID, node: UUID) -> None:
    now = registry.context.clock()
    later = now + timedelta(days=1)
    window = {"unit_node_uuid": node, "state": "1", "state_type": "Number", "size": 1}
    line = {"level": "Info", "unit_uuid": unit, "text": "a line"}
    times = {"create_datetime": now, "expiration_datetime": later}
    async with registry.context.database.write() as connection:
        await connection.execute(window_entry.insert(), [{**window, **times} for _ in range(3)])
        await connection.execute(unit_logs.insert(), [{**line, **times, "uuid": uuid4()} for _ in range(3)])


async def make_world(registry: Registry, git: Path) -> World:
    """Alice has a repository, a Repo, two linked units with telemetry and a spare repository; Bobby has a unit too.

    Her units are to be told to update. The repository has news that are not pushed yet, and another is not registered.
    """
    root = await registry.users.create_admin("root-admin", PASSWORD)
    admin = Agent(AgentType.USER, root.uuid, UserRole.ADMIN)
    world = {name: str((await registry.users.register(admin, name, PASSWORD)).uuid) for name in ("alice", "bobby")}
    alice = _user(world, "alice")
    tree, spare, unknown = (_serve(git, name) for name in ("sample", "spare", "unknown"))
    world |= {"bare": str(tree.bare), "old": tree.head(), "news": _commit_news(tree), "unknown": str(unknown.bare)}
    repository = await _repository(registry, alice, tree.bare)
    world["sample"] = str(repository)
    world["spare"] = str(await _repository(registry, alice, spare.bare))
    new = NewRepo(repository, "main", VisibilityLevel.PUBLIC, "sample-repo", False, is_only_tag_update=False)  # noqa: FBT003 - is_compilable_repo, by position
    world["repo"] = str((await registry.repos.create(alice, new)).uuid)
    for name, owner in (("first", alice), ("second", alice), ("bobs", _user(world, "bobby"))):
        unit = await registry.units.create(owner, _unit(UUID(world["repo"]), f"{name}-unit"))
        world[name] = str(unit.uuid)
        page = json.loads(await registry.node_reads.page(alice, NodeFilter(unit_uuid=unit.uuid)))
        world |= {f"{name} {node['topic_name']}": node["uuid"] for node in page["unit_nodes"]}
        await _telemetry(registry, unit.uuid, UUID(world[f"{name} temperature/pepeunit"]))
    await registry.permissions.grant(alice, _permission(world, "second"))
    world["edge"] = str((await _link(registry, world, "first", "second")).uuid)
    hers = [UUID(world[name]) for name in ("first", "second")]
    async with registry.context.act() as act:
        await queue_commands(act, "a.example", hers, BackendTopicCommand.UPDATE, commit=world["old"])
    return world


def _permission(world: World, name: str) -> NewPermission:
    return NewPermission(UUID(world["bobby"]), HolderType.USER, UUID(world[name]), ResourceType.UNIT)


async def _link(registry: Registry, world: World, source: str, target: str):
    output, target_input = world[f"{source} temperature/pepeunit"], world[f"{target} set_fan/pepeunit"]
    return await registry.edges.create(_user(world, "alice"), UUID(output), UUID(target_input))


async def create_unit(registry: Registry, world: World) -> None:
    await registry.units.create(_user(world, "alice"), _unit(UUID(world["repo"]), "third-unit"))


async def create_edge(registry: Registry, world: World) -> None:
    await _link(registry, world, "second", "first")


async def delete_edge(registry: Registry, world: World) -> None:
    await registry.edges.delete(_user(world, "alice"), UUID(world["edge"]))


async def delete_unit(registry: Registry, world: World) -> None:
    await registry.units.delete(_user(world, "alice"), UUID(world["first"]))


async def create_batch(registry: Registry, world: World) -> None:
    units = [_unit(UUID(world["repo"]), f"unit-{number}") for number in range(3)]
    await registry.units.create_batch(_user(world, "alice"), units, "a-key")


async def create_grant(registry: Registry, world: World) -> None:
    await registry.permissions.grant(_user(world, "alice"), _permission(world, "first"))


async def delete_grant(registry: Registry, world: World) -> None:
    alice = _user(world, "alice")
    await registry.permissions.revoke(alice, holder=UUID(world["bobby"]), resource=UUID(world["second"]))


async def delete_user(registry: Registry, world: World) -> None:
    await registry.users.delete(_user(world, "bobby"), UUID(world["bobby"]))


async def delete_repository(registry: Registry, world: World) -> None:
    await registry.repositories.delete(_user(world, "alice"), UUID(world["spare"]))


async def create_repository(registry: Registry, world: World) -> None:
    await _repository(registry, _user(world, "alice"), Path(world["unknown"]))


async def sync_with_news(registry: Registry, world: World) -> None:
    """From a push to the commands of the units that follow."""
    push(world, "news")
    repository = UUID(world["sample"])
    assert await sync_repository(registry.context, repository) == (True, True)
    await registry.updates.update_registry(repository)


def _journal(registry: Registry) -> Path:
    return registry.context.settings.data_dir / "delivered"


async def send_outbox(registry: Registry, _world: World) -> None:
    """One round of the sender; what the broker acknowledged is in a file."""

    async def deliver(command: Command) -> bool:
        with _journal(registry).open("a") as file:
            file.write(f"{command.unit_uuid} {command.command.value} {command.payload.decode()}\n")
        return True

    queued = registry.context.bus.subscribe(Change.OUTBOX)
    sender = OutboxSender(registry.outbox, deliver, queued, hears=lambda *_: True, is_up=lambda: True)
    if commands := await registry.outbox.due():
        await sender._send(commands)


def deliveries(registry: Registry) -> list[str]:
    """Return what the broker got, once each, and what it got more than twice."""
    journal = _journal(registry)
    lines = journal.read_text().splitlines() if journal.exists() else []
    return sorted({*lines, *(f"too often: {line}" for line in lines if lines.count(line) > 2)})


GOING_ON = {"sync_with_news", "send_outbox"}
"""Acts that a gateway that starts anew brings to their end, wherever they were killed."""

ACTS: dict[str, Callable[[Registry, World], Awaitable[None]]] = {
    act.__name__: act
    for act in (
        create_unit,
        create_batch,
        create_grant,
        create_edge,
        delete_grant,
        delete_edge,
        delete_unit,
        delete_user,
        delete_repository,
        create_repository,
        sync_with_news,
        send_outbox,
    )
}
