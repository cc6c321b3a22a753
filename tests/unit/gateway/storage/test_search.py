"""What a database could do in its own way, it does alike on SQLite and PostgreSQL: order, search, times."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text

from pepeunit_gateway.storage.search import contains
from pepeunit_gateway.storage.tables import units
from tests.support.telemetry import add_unit

BOTH_DATABASES = True

NAMES = ["b-unit", "B_unit", "a.unit", "a-unit", "A_unit", "_unit", "-unit", "10-unit", "9-unit", "aunit"]
TEXTS = ["Straße", "ÄRGER", "привет МИР", "İstanbul", "50%", "a_b", "a/b", "ΑΘΗΝΑ", "\U0001f600 ok"]


async def test_names_are_sorted_by_their_bytes(database):
    for name in NAMES:
        await add_unit(database, name=name)
    async with database.read() as connection:
        found = (await connection.execute(select(units.c.name).order_by(units.c.name))).scalars().all()
    assert found == sorted(NAMES)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("STRAß", ["Straße"]),
        ("ärger", ["ÄRGER"]),
        ("Мир", ["привет МИР"]),
        ("i̇ST", ["İstanbul"]),
        ("αθ", ["ΑΘΗΝΑ"]),
        ("0%", ["50%"]),
        ("_", ["a_b"]),
        ("/B", ["a/b"]),
        ("\U0001f600", ["\U0001f600 ok"]),
        ("ss", []),
    ],
)
async def test_a_search_knows_the_case_of_every_alphabet(database, wanted, found):
    for name in TEXTS:
        await add_unit(database, name=name)
    async with database.read() as connection:
        rows = await connection.execute(select(units.c.name).where(contains(units.c.name, wanted)))
        assert rows.scalars().all() == found


async def test_a_search_sees_a_missing_text_as_no_match(database):
    await add_unit(database)
    async with database.read() as connection:
        rows = await connection.execute(select(units.c.name).where(contains(units.c.repo_branch, "x")))
        assert rows.all() == []


async def test_the_first_and_the_last_moment_are_kept(database):
    moments = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    for moment in moments:
        await add_unit(database, create_datetime=moment)
    async with database.read() as connection:
        rows = await connection.execute(select(units.c.create_datetime).order_by(units.c.create_datetime))
        assert rows.scalars().all() == moments


async def test_every_text_of_postgresql_is_sorted_by_bytes(database):
    """A column of text that a migration adds takes TEXT of migrations/script.py.mako."""
    if database.is_sqlite:
        query = "SELECT 1 WHERE false"
    else:
        query = (
            "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND data_type = 'character varying' AND collation_name IS DISTINCT FROM 'C' "
            "AND table_name <> 'alembic_version'"
        )
    async with database.read() as connection:
        assert (await connection.execute(text(query))).all() == []
