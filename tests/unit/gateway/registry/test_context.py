"""An act is one transaction, and others hear of it once it is committed and not before (W28)."""

from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, select

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.local import LocalBus
from pepeunit_gateway.errors import UnauthorizedError
from pepeunit_gateway.parts import make_context
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.data_folder import make_folder, prepare_folder
from pepeunit_gateway.storage.own_tables import audit

BOTH_DATABASES = True


class TellingBus(LocalBus):
    """The bus of one process, which remembers what was published."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[Change, set[UUID]]] = []

    def publish(self, change: Change, uuids: Iterable[UUID]) -> None:
        self.told.append((change, set(uuids)))
        super().publish(change, self.told[-1][1])


@pytest.fixture
def bus():
    return TellingBus()


@pytest.fixture
def context(tmp_path, database, bus):
    settings = prepare_folder(Settings(data_dir=make_folder(Settings(data_dir=tmp_path / "data"))))
    return replace(make_context(settings, database), bus=bus)


@contextmanager
def committing(context, do):
    """Call `do` at the moment at which a transaction that wrote is about to be committed."""

    def about_to_commit(_connection):
        do()

    engine = context.database._writer.sync_engine
    event.listen(engine, "commit", about_to_commit)
    try:
        yield
    finally:
        event.remove(engine, "commit", about_to_commit)


async def write(act):
    values = {"create_datetime": act.now, "action": "login", "actor_type": "User"}
    await act.connection.execute(audit.insert().values(**values))


async def rows(context):
    async with context.database.read() as connection:
        return len((await connection.execute(select(audit))).all())


async def test_w28_nothing_is_published_before_the_commit_and_everything_after_it(context, bus):
    (a, b, c), told = (uuid4(), uuid4(), uuid4()), []
    with committing(context, lambda: told.append(list(bus.told))):
        async with context.act() as act:
            await write(act)
            act.announce(Change.NODE, [a])
            act.announce(Change.ACCESS, [c])
            act.announce(Change.NODE, [b])
            assert bus.told == []
    assert told == [[]]
    assert bus.told == [(Change.NODE, {a, b}), (Change.ACCESS, {c})]
    assert await rows(context) == 1


async def one_act(context, then):
    async with context.act() as act:
        await write(act)
        act.announce(Change.NODE, [uuid4()])
        then()


def fail():
    raise LookupError


async def test_w28_nothing_is_published_and_nothing_stored_when_the_act_fails(context, bus):
    with pytest.raises(LookupError):
        await one_act(context, fail)
    assert (bus.told, await rows(context)) == ([], 0)


async def test_w28_nothing_is_published_and_nothing_stored_when_the_commit_fails(context, bus):
    with committing(context, fail), pytest.raises(LookupError):
        await one_act(context, lambda: None)
    assert (bus.told, await rows(context)) == ([], 0)


async def test_an_act_for_somebody_who_is_gone_does_not_even_begin(context, bus):
    began = []
    with pytest.raises(UnauthorizedError, match="Token was revoked"):
        async with context.act(Agent(AgentType.USER, uuid4(), UserRole.ADMIN)):
            began.append(True)
    assert (began, bus.told) == ([], [])


async def test_a_change_of_nothing_is_not_published(context, bus):
    async with context.act() as act:
        act.announce(Change.NODE, [])
    assert bus.told == []
