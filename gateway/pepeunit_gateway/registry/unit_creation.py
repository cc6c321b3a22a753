"""New units, one or a hundred at once: with their nodes and permissions, or nothing (W28).

The number of statements does not depend on the number of units. Source: protocol/entities.md 1.4, rest.md 2.6,
security.md 4.3, decisions.md 12 and 15; W7 and W31.
"""

import base64
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent, VisibilityLevel
from pepeunit_gateway.access.rules import check_child_visibility, require_sight, require_user
from pepeunit_gateway.errors import ApiError, NotFoundError, UnitError
from pepeunit_gateway.firmware.schema import SchemaExample
from pepeunit_gateway.firmware.versions import RepoRule, Target, UnitRule, resolve
from pepeunit_gateway.registry.compiled import Programs, load_programs
from pepeunit_gateway.registry.constraints import unique
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.current_mirrors import current_state, retried
from pepeunit_gateway.registry.entities import Unit
from pepeunit_gateway.registry.idempotency import recall_answer, remember_answer, request_digest
from pepeunit_gateway.registry.naming import check_name
from pepeunit_gateway.registry.node_sync import insert_nodes, node_keys
from pepeunit_gateway.registry.refs_states import require_state
from pepeunit_gateway.registry.targets import check_unit_rule, read_examples, repo_rule, select_units
from pepeunit_gateway.registry.unit_states import to_unit
from pepeunit_gateway.registry.visibility import insert_permissions, permission_names
from pepeunit_gateway.storage.tables import repos, units

__all__ = ["MAX_BATCH", "NewUnit", "UnitCreation"]

MAX_BATCH = 100
"""Units of one batch."""


@dataclass(frozen=True, slots=True)
class NewUnit:
    """Branch and commit are needed where the unit does not follow its Repo."""

    repo_uuid: UUID
    visibility_level: VisibilityLevel
    name: str
    is_auto_update_from_repo_unit: bool
    target_firmware_platform: str | None = None
    repo_branch: str | None = None
    repo_commit: str | None = None

    @property
    def rule(self) -> UnitRule:
        return UnitRule(self.is_auto_update_from_repo_unit, self.repo_branch, self.repo_commit)


@dataclass(frozen=True, slots=True)
class _Planned:
    """A new unit, and the version that git answered for it."""

    uuid: UUID
    new: NewUnit
    target: Target
    example: SchemaExample
    registry: UUID
    state: str | None


_Version = tuple[Target, SchemaExample, Programs, str | None]

_REQUEST = TypeAdapter(list[NewUnit])
_ANSWER = TypeAdapter(list[Unit])


class UnitCreation:
    """Makes units of Repos that the caller sees."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, agent: Agent, new: NewUnit) -> Unit:
        """Create a unit.

        Raises:
            NoAccessError: the caller may not see the Repo (W7).
            GitRepoError, CustomJSONDecodeError: the target version or its compiled program is missing, or its example
                files are broken.
            MirrorBehindError: another gateway knows a newer state of the repository, which this one could not fetch.
        """
        return await retried(partial(self._create, agent, new))

    async def _create(self, agent: Agent, new: NewUnit) -> Unit:
        planned = await self._plan(agent, [new])
        async with self._context.act(agent) as act:
            return (await self._insert(act, agent, planned))[0]

    async def create_batch(self, agent: Agent, news: Sequence[NewUnit], key: str) -> list[Unit]:
        """Create all of these units or none; with a key that was used, return what was returned then.

        Args:
            agent: who asks.
            news: 1 to MAX_BATCH units.
            key: the client's own name for this request.

        Raises:
            UnitError: the key belongs to another request, or a name is taken (409 both).
            ApiError: as for `create`; the message begins with the number of the unit, from 0.
        """
        return await retried(partial(self._create_batch, require_user(agent), agent, news, key))

    async def _create_batch(self, user: UUID, agent: Agent, news: Sequence[NewUnit], key: str) -> list[Unit]:
        digest = request_digest(_REQUEST.dump_json(list(news)))
        async with self._context.database.read() as connection:
            answer = await recall_answer(self._context, connection, user, key, digest)
        if answer is not None:
            return _ANSWER.validate_json(answer)
        planned = await self._plan(agent, news, numbered=True)
        async with self._context.act(agent) as act:
            # of two requests at once with one key the second finds the answer of the first
            answer = await recall_answer(self._context, act.connection, user, key, digest)
            if answer is not None:
                return _ANSWER.validate_json(answer)
            await _check_names(act, news)
            made = await self._insert(act, agent, planned, numbered=True)
            await remember_answer(act, user, key, digest, _ANSWER.dump_json(made).decode())
        return made

    async def _plan(self, agent: Agent, news: Sequence[NewUnit], *, numbered: bool = False) -> list[_Planned]:
        require_user(agent)
        for number, new in enumerate(news):
            with _about(number, numbered=numbered):
                check_name(new.name, "the name", UnitError)
        async with self._context.database.read() as connection:
            found = await _load_repos(connection, agent, news)
        versions: dict[tuple[UUID, RepoRule, UnitRule], _Version] = {}
        planned: list[_Planned] = []
        for number, new in enumerate(news):
            with _about(number, numbered=numbered):
                repo = _checked_repo(agent, found, new)
                question = repo.repository_registry_uuid, repo_rule(repo), new.rule
                if question not in versions:
                    versions[question] = await self._version(*question)
                target, example, programs, state = versions[question]
                programs.link(new.target_firmware_platform)
            planned.append(_Planned(uuid4(), new, target, example, repo.repository_registry_uuid, state))
        return planned

    async def _version(self, registry: UUID, repo: RepoRule, unit: UnitRule) -> _Version:
        state = await current_state(self._context, registry)
        target = await resolve(self._context.mirrors, registry, repo, unit)
        example, _ = await read_examples(self._context.mirrors, registry, target.commit)
        programs = await load_programs(self._context, registry, target, is_compilable=repo.is_compilable)
        return target, example, programs, state

    async def _insert(
        self, act: Act, agent: Agent, planned: Sequence[_Planned], *, numbered: bool = False
    ) -> list[Unit]:
        found = await _load_repos(act.connection, agent, [plan.new for plan in planned])
        for number, plan in enumerate(planned):  # git took its time; the Repo may have changed meanwhile
            with _about(number, numbered=numbered):
                _checked_repo(agent, found, plan.new)
        for registry, state in {(plan.registry, plan.state) for plan in planned}:
            await require_state(self._context, act.connection, registry, state)
        names = ", ".join(plan.new.name for plan in planned)
        with unique(UnitError(f"the name {names} is taken", conflict=True)):
            await act.connection.execute(units.insert(), [self._columns(act, agent, plan) for plan in planned])
        await insert_permissions(act.connection, [row for plan in planned for row in _permissions(agent, plan)])
        query = select_units().where(units.c.uuid.in_([plan.uuid for plan in planned]))
        rows = {row.uuid: row for row in (await act.connection.execute(query)).all()}
        keys = [key for plan in planned for key in node_keys([plan.uuid], plan.example)]
        pipe = self._context.settings.ff_datapipe_default_last_value_enable
        await insert_nodes(act, rows.values(), keys, default_pipe=pipe)
        return [to_unit(rows[plan.uuid]) for plan in planned]

    def _columns(self, act: Act, agent: Agent, plan: _Planned) -> dict[str, Any]:
        new = plan.new
        keys = {"PU_SECRET_KEY": _random_key(), "PU_ENCRYPT_KEY": _random_key()}
        return {
            "uuid": plan.uuid,
            "visibility_level": new.visibility_level.value,
            "name": new.name,
            "create_datetime": act.now,
            "last_update_datetime": act.now,
            "is_auto_update_from_repo_unit": new.is_auto_update_from_repo_unit,
            "target_firmware_platform": new.target_firmware_platform,
            "repo_branch": new.repo_branch,
            "repo_commit": new.repo_commit,
            "cipher_env_dict": self._context.cipher.encrypt(json.dumps(keys)),
            "creator_uuid": agent.uuid,
            "repo_uuid": new.repo_uuid,
            "token_generation": 0,
            "synced_commit": plan.target.commit,
        }


def _random_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@contextmanager
def _about(number: int, *, numbered: bool) -> Iterator[None]:
    """Say in an error of a batch which unit it is about."""
    try:
        yield
    except ApiError as error:
        if numbered:
            error.message = f"units[{number}]: {error.message}"
        raise


async def _load_repos(connection: AsyncConnection, agent: Agent, news: Collection[NewUnit]) -> dict[UUID, Row[Any]]:
    permitted = permission_names(agent, repos).label("permitted")
    query = select(repos, permitted).where(repos.c.uuid.in_({new.repo_uuid for new in news}))
    return {row.uuid: row for row in (await connection.execute(query)).all()}


def _checked_repo(agent: Agent, found: Mapping[UUID, Row[Any]], new: NewUnit) -> Row[Any]:
    """Return the Repo of a new unit if the caller sees it and the unit fits it (W7)."""
    repo = found.get(new.repo_uuid)
    if repo is None:
        raise NotFoundError(f"there is no Repo {new.repo_uuid}")
    level = VisibilityLevel(repo.visibility_level)
    require_sight(agent, visibility=level, creator_uuid=repo.creator_uuid, permitted=bool(repo.permitted), acting=True)
    check_child_visibility(level, new.visibility_level)
    check_unit_rule(new.rule, new.target_firmware_platform, is_compilable=repo.is_compilable_repo)
    return repo


async def _check_names(act: Act, news: Sequence[NewUnit]) -> None:
    """Say which name is taken; no other act runs meanwhile, so that the constraint of the table has nothing to say."""
    query = select(units.c.name).where(units.c.name.in_([new.name for new in news]))
    taken = set((await act.connection.execute(query)).scalars())
    for number, new in enumerate(news):
        if new.name in taken:
            raise UnitError(f"units[{number}]: the name {new.name} is taken", conflict=True)
        taken.add(new.name)


def _permissions(agent: Agent, plan: _Planned) -> list[dict[str, Any]]:
    """Return the automatic rows of protocol/security.md 4.3."""
    blank = {"agent_user_uuid": None, "agent_unit_uuid": None, "resource_repo_uuid": None, "resource_unit_uuid": None}
    return [
        {**blank, "uuid": uuid4(), "agent_type": kind, holder: holder_uuid, "resource_type": resource, column: uuid}
        for kind, holder, holder_uuid, resource, column, uuid in (
            ("User", "agent_user_uuid", agent.uuid, "Unit", "resource_unit_uuid", plan.uuid),
            ("Unit", "agent_unit_uuid", plan.uuid, "Repo", "resource_repo_uuid", plan.new.repo_uuid),
            ("Unit", "agent_unit_uuid", plan.uuid, "Unit", "resource_unit_uuid", plan.uuid),
        )
    ]
