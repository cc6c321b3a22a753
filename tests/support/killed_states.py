"""What is there after an act that was killed, once a gateway has started again, and what of it any run leaves alike."""

import re
from collections.abc import Mapping

from sqlalchemy import select

from pepeunit_gateway.jobs.repository_poll import RepositoryPoll
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.removals import remove_queued
from pepeunit_gateway.storage.own_tables import outbox
from pepeunit_gateway.topics import BackendTopicCommand
from tests.support.killed_acts import ACTS, GOING_ON, deliveries
from tests.support.statements import snapshot

__all__ = ["FETCHING", "State", "essence", "finish"]

State = dict[str, list[str]]
"""The rows of every table, the names of the kept files and what the broker got, as text."""

FETCHING = {"create_repository", "sync_with_news"}
"""Acts that run git, whose own steps are killed in `killed_syncs`."""

_VOLATILE = {"repository_registry": "sync_last_datetime", "outbox": "id"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"datetime\.datetime\([^)]*\)")


async def finish(registry: Registry, act: str) -> State:
    """Do what a start does and return what is there then; only a repository's act needs the look at git."""
    if "repository" in act or act in FETCHING:
        poll = RepositoryPoll(registry, 3600)
        await poll.run()
        await poll.settle()
    if act == "send_outbox":
        await ACTS[act](registry, {})
    await remove_queued(registry.context)  # of nodes that the poll let go too
    if act in GOING_ON:
        await _check_updates(registry, units=3 if act == "sync_with_news" else 2)
    tables = await snapshot(registry.context.database, without=_VOLATILE)
    state = {name: [repr(row) for row in rows] for name, rows in tables.items() if name != "act_counter"}
    settings = registry.context.settings
    kept = [path for name in ("repo_cache", "archives") for path in (settings.data_dir / name).glob("*")]
    files = sorted(str(path.relative_to(settings.data_dir)) for path in kept)
    return {**state, "files": files, "delivered": deliveries(registry)}


async def _check_updates(registry: Registry, *, units: int) -> None:
    """Each unit has one Update, waiting or sent."""
    query = select(outbox.c.unit_uuid).where(outbox.c.command == BackendTopicCommand.UPDATE.value)
    async with registry.context.database.read() as connection:
        told = list((await connection.execute(query)).scalars())
    assert len(told) == len(set(told)) == units, told


def essence(state: State, world: Mapping[str, str]) -> State:
    """Leave out which moments and which new ids a run happened to choose; those of the world stay."""
    old = set(world.values())

    def named(text: str) -> str:
        return _UUID.sub(lambda found: found[0] if found[0] in old else "new", _TIME.sub("time", text))

    return {name: sorted(named(row) for row in rows) for name, rows in state.items()}
