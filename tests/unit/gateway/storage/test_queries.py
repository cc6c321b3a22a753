"""Statements that are compiled once: the same rows as by SQLAlchemy, on both databases."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Column, MetaData, String, Table, select
from sqlalchemy.exc import DBAPIError

from pepeunit_gateway.storage.queries import FixedQuery, parameter
from pepeunit_gateway.storage.tables import users

BOTH_DATABASES = True

BY_UUID = FixedQuery(select(users.c.login, users.c.token_generation).where(users.c.uuid == parameter("uuid")))
BY_STATUS = FixedQuery(
    select(users.c.login)
    .where(users.c.status.in_(["Verified", "Blocked"]), users.c.role == "User", users.c.uuid != parameter("uuid"))
    .where(users.c.grafana_org_name != parameter("uuid"), users.c.token_generation == parameter("generation"))
    .order_by(users.c.login)
)


async def _add(database, login: str, status: str = "Verified", generation: int = 0) -> UUID:
    row = {
        "uuid": uuid4(),
        "role": "User",
        "status": status,
        "login": login,
        "hashed_password": "x",
        "cipher_dynamic_salt": "",
        "grafana_org_name": uuid4(),
        "create_datetime": datetime(2026, 1, 2, tzinfo=UTC),
        "token_generation": generation,
    }
    async with database.act() as connection:
        await connection.execute(users.insert().values(row))
    return row["uuid"]


async def test_values_go_where_their_names_are(database):
    alice, bobby = await _add(database, "alice"), await _add(database, "bobby", generation=7)
    assert [tuple(row) for row in await database.fetch(BY_UUID, uuid=alice)] == [("alice", 0)]
    assert [tuple(row) for row in await database.fetch(BY_UUID, uuid=bobby)] == [("bobby", 7)]
    assert list(await database.fetch(BY_UUID, uuid=uuid4())) == []
    assert list(await database.fetch(BY_UUID, uuid=None)) == []


RECORDS = FixedQuery(
    select(users, (users.c.token_generation > 3).label("is_old"), users.c.telegram_chat_id.label("chat"))
    .where(users.c.status == parameter("status"))
    .order_by(users.c.login)
)


async def test_records_are_what_sqlalchemy_would_give(database):
    await _add(database, "alice")
    await _add(database, "bobby", generation=7)
    async with database.read() as connection:
        expected = (await connection.execute(RECORDS.statement, {"status": "Verified"})).all()
    records = await database.records(RECORDS, status="Verified")
    assert [dict(record._mapping) for record in records] == [dict(row._mapping) for row in expected]
    assert [list(map(type, record)) for record in records] == [list(map(type, row)) for row in expected]
    assert (records[1].login, records[1].is_old, records[1].uuid) == ("bobby", True, expected[1].uuid)
    assert list(await database.records(RECORDS, status="none")) == []


async def test_constants_and_values_that_occur_twice_stay_in_order(database):
    await _add(database, "carol", "Blocked", generation=3)
    await _add(database, "daven", "Unverified", generation=3)
    besides = await _add(database, "erwin", "Verified", generation=3)
    await _add(database, "fiona", "Verified", generation=3)
    rows = await database.fetch(BY_STATUS, uuid=besides, generation=3)
    assert [row[0] for row in rows] == ["carol", "fiona"]


async def test_what_is_committed_is_seen_at_once(database):
    for generation in range(3):
        uuid = await _add(database, f"user-{generation}", generation=generation)
        assert (await database.fetch(BY_UUID, uuid=uuid))[0][1] == generation


async def test_an_error_of_the_driver_is_told_as_by_every_other_way_to_read(database):
    missing = Table("no_such_table", MetaData(), Column("name", String))
    with pytest.raises(DBAPIError):
        await database.fetch(FixedQuery(select(missing.c.name)))
    assert list(await database.fetch(BY_UUID, uuid=uuid4())) == [], "the connection is of use afterwards"


async def test_statements_that_stand_alone_see_what_came_between_them(database):
    query = select(users.c.login).order_by(users.c.login)
    async with database.look() as connection:
        assert (await connection.execute(query)).scalars().all() == []
        await _add(database, "alice")
        assert (await connection.execute(query)).scalars().all() == ["alice"]
    async with database.read() as connection:
        assert (await connection.execute(query)).scalars().all() == ["alice"]
        await _add(database, "bobby")
        assert (await connection.execute(query)).scalars().all() == ["alice"], "a snapshot stays one"
