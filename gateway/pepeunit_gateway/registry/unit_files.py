"""What a device fetches: env.json, schema.json, its archive, its storage; and commands to it.

Source: protocol/rest.md 2.6, protocol/firmware.md 7.6-7.9, decisions.md 2, 5 and 15; W22, W23 and W37.
"""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.rules import require_creator, require_creator_or_unit, require_user
from pepeunit_gateway.access.tokens import unit_token
from pepeunit_gateway.errors import CustomJSONDecodeError, GitRepoError, UnitError
from pepeunit_gateway.firmware.archives import Archive, ArchiveFormat
from pepeunit_gateway.firmware.env import PlatformEnv, check_typed, generated_env, merge_env
from pepeunit_gateway.firmware.jsonfile import JSON, check_portable, dump_object
from pepeunit_gateway.firmware.schema import SchemaExample, build_schema
from pepeunit_gateway.firmware.versions import Target
from pepeunit_gateway.registry.compiled import load_programs
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.current_mirrors import current_state, retried
from pepeunit_gateway.registry.entities import LogLevel, Page, UnitLog
from pepeunit_gateway.registry.listing import DEFAULT_LIMIT, OrderBy, Paging
from pepeunit_gateway.registry.moves import Moves
from pepeunit_gateway.registry.node_links import read_links
from pepeunit_gateway.registry.node_sync import sync_nodes
from pepeunit_gateway.registry.outbox import queue_commands
from pepeunit_gateway.registry.refs_states import require_state
from pepeunit_gateway.registry.targets import (
    former_examples,
    load_unit,
    look_at_unit,
    read_examples,
    target_of,
    unchanged,
)
from pepeunit_gateway.registry.updates import Updates
from pepeunit_gateway.storage.queries import FixedQuery, parameter
from pepeunit_gateway.storage.tables import units
from pepeunit_gateway.topics import BackendTopicCommand

__all__ = ["UnitFiles"]

_STORAGE = FixedQuery(select(units.c.cipher_state_storage).where(units.c.uuid == parameter("uuid")))
_KEYS = ("PU_SECRET_KEY", "PU_ENCRYPT_KEY")


class UnitFiles:
    """The files and the private data of units; only the creator and the unit itself reach them."""

    def __init__(self, context: Context, updates: Updates, moves: Moves) -> None:
        self._context = context
        self._updates = updates
        self._moves = moves

    async def env(self, agent: Agent, uuid: UUID) -> dict[str, JSON]:
        """Return env.json; PU_COMMIT_VERSION is the target commit, or the one of before if that is gone."""
        row = await self._own_unit(agent, uuid)
        commit, _, example = await self._served(row)
        return self._env(row, example, commit)

    async def set_env(self, agent: Agent, uuid: UUID, env_json: str) -> None:
        """Store typed values; those equal to the generated ones are dropped (decisions.md 15).

        Raises:
            CustomJSONDecodeError: not JSON, or not an object.
        """
        require_user(agent)
        typed = _parse_object(env_json)
        async with self._context.database.read() as connection:
            row = await load_unit(connection, uuid)
        require_creator(agent, row.creator_uuid)
        target = await self._target(row)
        _, example = await read_examples(self._context.mirrors, row.repository_registry_uuid, target.commit)
        async with self._context.act(agent) as act:
            row = await load_unit(act.connection, uuid)  # of two changes at once none is lost
            stored = self._stored(row)
            generated = self._generated(row, example, stored)
            _check_kinds(generated, typed)
            kept = check_typed(example, generated, {**stored, **typed})
            await self._store(act, uuid, {**{key: stored[key] for key in _KEYS}, **kept})

    async def reset_env(self, agent: Agent, uuid: UUID) -> None:
        """Forget what was typed, and make new keys."""
        require_user(agent)
        async with self._context.act(agent) as act:
            row = await load_unit(act.connection, uuid)
            require_creator(agent, row.creator_uuid)
            await self._store(act, uuid, {key: base64.b64encode(os.urandom(32)).decode() for key in _KEYS})

    async def target_version(self, agent: Agent, uuid: UUID) -> Target:
        """Return the commit that the unit should run, and its tag."""
        return await self._target(await self._own_unit(agent, uuid))

    async def current_schema(self, agent: Agent, uuid: UUID) -> dict[str, dict[str, list[str]]]:
        """Return schema.json; the nodes follow the target version first (W22, W23)."""
        row = await self._own_unit(agent, uuid)
        _, example, _ = await self._served(row)
        schema = await self._schema(uuid, example)
        await self._arrive(agent, row)
        return schema

    async def archive(self, agent: Agent, uuid: UUID, fmt: ArchiveFormat) -> Archive:
        """Return the program of the target version with this unit's env.json and schema.json."""
        row = await self._own_unit(agent, uuid)
        target, example, env_example = await self._synced(row)
        env = dump_object(self._env(row, env_example, target.commit))
        schema = dump_object(await self._schema(uuid, example))
        registry, has_source = row.repository_registry_uuid, not row.is_compilable_repo
        return await self._context.archives.build(registry, target.commit, env, schema, fmt, with_program=has_source)

    def arrived(self, agent: Agent, uuid: UUID) -> None:
        """Note that a unit has got its archive, and with it the topics of the present domain (decisions.md 19)."""
        if agent.uuid == uuid:
            self._moves.reported(uuid)

    async def set_state_storage(self, agent: Agent, uuid: UUID, state: str) -> None:
        """Store up to PU_MAX_CIPHER_LENGTH characters for the unit; an empty text clears."""
        await self._own_unit(agent, uuid)
        text = self._context.cipher.encrypt(state) if state else None
        async with self._context.act(agent) as act:
            await act.connection.execute(units.update().where(units.c.uuid == uuid).values(cipher_state_storage=text))

    async def get_state_storage(self, agent: Agent, uuid: UUID) -> str:
        """Return what was stored, or an empty text."""
        await self._own_unit(agent, uuid)
        rows = await self._context.database.fetch(_STORAGE, uuid=uuid)
        text = rows[0][0] if rows else None
        return self._context.cipher.decrypt(text) if text else ""

    async def send_command(self, agent: Agent, uuid: UUID, command: BackendTopicCommand) -> None:
        """Queue a command; nothing is sent if the program's schema does not list it (protocol/broker.md 6.6)."""
        row = await self._own_unit(agent, uuid)
        if command is BackendTopicCommand.UPDATE:
            await self._updates.update_unit(uuid, force=True)
            return
        _, example, _ = await self._served(row)
        if command.topic_name in example.input_base_topic:
            async with self._context.act(agent) as act:
                await load_unit(act.connection, uuid)  # it may be gone by now
                await queue_commands(act, self._context.settings.domain, [uuid], command)

    async def logs(
        self, agent: Agent, uuid: UUID, *, levels: Sequence[LogLevel], order: OrderBy, paging: Paging
    ) -> Page[UnitLog]:
        """Return a page of the unit's log lines."""
        await self._own_unit(agent, uuid)
        count, rows = await self._context.telemetry.read_logs(
            uuid,
            [level.value for level in levels],
            offset=paging.offset,
            limit=paging.limit or DEFAULT_LIMIT,
            ascending=order is OrderBy.ASC,
            now=self._context.clock(),
        )
        logs = [
            UnitLog(r.uuid, LogLevel(r.level), r.unit_uuid, r.text, r.create_datetime, r.expiration_datetime)
            for r in rows
        ]
        return Page(count, logs)

    async def _arrive(self, agent: Agent, row: Row[Any]) -> None:
        """Note that a unit has fetched the topics of the present domain; its creator's fetch says nothing about it."""
        if row.told_domain is not None and agent.uuid == row.uuid:
            await self._moves.settle([row.uuid])

    async def _own_unit(self, agent: Agent, uuid: UUID) -> Row[Any]:
        row = await look_at_unit(self._context.database, uuid)
        require_creator_or_unit(agent, row.creator_uuid, uuid)
        return row

    async def _target(self, row: Row[Any]) -> Target:
        """Return the target; it comes from the recorded state of the repository if the nodes follow another commit.

        Raises:
            GitRepoError: there is no such version.
            MirrorBehindError: another gateway knows a newer state, which this one could not fetch.
        """
        target = await self._followed(row)
        if target is None:
            await current_state(self._context, row.repository_registry_uuid)
            target = await target_of(self._context.mirrors, row)
        return target

    async def _followed(self, row: Row[Any]) -> Target | None:
        """Return the target where the nodes follow it already: nothing is to be written, whatever others know."""
        try:
            target = await target_of(self._context.mirrors, row)
        except GitRepoError:
            if not self._context.bus.shared:
                raise
            return None  # a newer state may have it
        return target if target.commit == row.synced_commit else None

    async def _served(self, row: Row[Any]) -> tuple[str, SchemaExample, dict[str, JSON]]:
        """Return the commit and the example files of `_synced`, or of `former_examples` where the target is gone."""
        try:
            target, example, env = await self._synced(row)
        except GitRepoError:
            former = await former_examples(self._context.mirrors, row)
            if former is None:
                raise
            return former
        return target.commit, example, env

    async def _synced(self, row: Row[Any]) -> tuple[Target, SchemaExample, dict[str, JSON]]:
        """Return the target and its example files; the nodes exist afterwards.

        Raises:
            GitRepoError: among others, the unit is not on its target yet and the release has no program for it.
            MirrorBehindError: another gateway knows a newer state, which this one could not fetch.
        """
        target = await self._followed(row)
        if target is None:
            return await retried(partial(self._sync, row))
        return target, *await read_examples(self._context.mirrors, row.repository_registry_uuid, target.commit)

    async def _sync(self, row: Row[Any]) -> tuple[Target, SchemaExample, dict[str, JSON]]:
        context, registry = self._context, row.repository_registry_uuid
        state = await current_state(context, registry)
        target = await target_of(context.mirrors, row)
        example, env = await read_examples(context.mirrors, registry, target.commit)
        if row.synced_commit != target.commit:
            programs = await load_programs(context, registry, target, is_compilable=row.is_compilable_repo)
            programs.link(row.target_firmware_platform)
            async with context.act() as act:
                await require_state(context, act.connection, registry, state)
                fresh = await unchanged(act.connection, [row], target)
                if not fresh:
                    await load_unit(act.connection, row.uuid)
                    raise UnitError("the unit was changed meanwhile; ask again", conflict=True)
                pipe = context.settings.ff_datapipe_default_last_value_enable
                await sync_nodes(act, fresh, example, target.commit, default_pipe=pipe)
        return target, example, env

    def _stored(self, row: Row[Any]) -> dict[str, JSON]:
        stored: dict[str, JSON] = json.loads(self._context.cipher.decrypt(row.cipher_env_dict))
        return stored

    async def _store(self, act: Act, uuid: UUID, values: Mapping[str, JSON]) -> None:
        text = self._context.cipher.encrypt(json.dumps(values))
        await act.connection.execute(
            units.update().where(units.c.uuid == uuid).values(cipher_env_dict=text, last_update_datetime=act.now)
        )

    def _generated(self, row: Row[Any], example: Mapping[str, JSON], stored: Mapping[str, JSON]) -> dict[str, JSON]:
        settings = self._context.settings
        platform = PlatformEnv(
            domain=settings.domain,
            http_type=settings.http_type,
            app_prefix=settings.app_prefix,
            api_prefix=settings.api_v1_prefix,
            mqtt_host=settings.mqtt_host,
            mqtt_port=settings.mqtt_port,
            state_send_interval=settings.state_send_interval,
        )
        token = unit_token(row.uuid, secret=self._context.secret, generation=row.token_generation)
        return generated_env(
            platform,
            auth_token=token,
            secret_key=str(stored["PU_SECRET_KEY"]),
            encrypt_key=str(stored["PU_ENCRYPT_KEY"]),
            example=example,
        )

    def _env(self, row: Row[Any], example: Mapping[str, JSON], commit: str) -> dict[str, JSON]:
        stored = self._stored(row)
        return merge_env(example, self._generated(row, example, stored), stored, commit)

    async def _schema(self, uuid: UUID, example: SchemaExample) -> dict[str, dict[str, list[str]]]:
        domain = self._context.settings.domain
        return build_schema(domain, uuid, example, await read_links(self._context.database, uuid, domain))


def _parse_object(text: str) -> dict[str, JSON]:
    """Read what was typed; everything that a device could not read back is refused.

    Raises:
        CustomJSONDecodeError: not JSON, too deep, or a number or text that JSON cannot carry.
        UnitError: not an object.
    """
    try:
        value = json.loads(text)
        check_portable(value)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CustomJSONDecodeError(f"env_json_string is not usable JSON: {reason}") from None
    if not isinstance(value, dict):
        raise UnitError("env_json_string must be a JSON object")
    return value


def _check_kinds(generated: Mapping[str, JSON], typed: Mapping[str, JSON]) -> None:
    """A typed value of a generated key has the generated one's type: devices rely on it."""
    for key in typed.keys() & generated.keys():
        if type(typed[key]) is not type(generated[key]):
            raise UnitError(f"{key} must be of the JSON type of its generated value, {type(generated[key]).__name__}")
