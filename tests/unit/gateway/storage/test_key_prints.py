"""Which keys a database belongs to: others are refused, a rotation goes on, a lost key can be given up."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.key_prints import accept_keys, check_keys
from pepeunit_gateway.storage.own_tables import key_prints
from tests.support.databases import open_database

BOTH_DATABASES = True

FIRST, SECOND, THIRD = (f"secret-of-32-characters-number-{number:03d}" for number in (1, 2, 3))


def settings_of(secret: str = FIRST, previous: str = "", *, encrypt: bytes = b"1") -> Settings:
    return Settings(
        secret_key=secret, secret_key_previous=previous, encrypt_key=base64.b64encode(encrypt * 32).decode()
    )


@pytest.fixture
async def database(tmp_path) -> AsyncIterator[Database]:
    async with open_database(tmp_path) as opened:
        yield opened


async def rows(database: Database) -> list[tuple[object, ...]]:
    async with database.read() as connection:
        return [tuple(row) for row in (await connection.execute(select(key_prints))).all()]


async def test_the_first_start_writes_prints_that_give_no_key_away(database):
    await check_keys(database, settings_of(), domain="here.example")
    ((number, encrypt, secret, domain),) = await rows(database)
    assert (number, domain) == (1, "here.example")
    assert {len(encrypt), len(secret)} == {16}
    assert encrypt != secret
    assert FIRST not in (encrypt, secret)
    before = await rows(database)
    await check_keys(database, settings_of(), domain="here.example")
    assert await rows(database) == before


async def test_another_key_is_refused_in_one_line_that_names_the_variable(database):
    await check_keys(database, settings_of())
    before = await rows(database)
    for other, variable in ((settings_of(encrypt=b"2"), "PU_ENCRYPT_KEY"), (settings_of(SECOND), "PU_SECRET_KEY")):
        with pytest.raises(StartError, match=f"another {variable}") as refused:
            await check_keys(database, other)
        assert "\n" not in refused.value.message
        assert SECOND not in refused.value.message
        assert "accept-keys" in refused.value.message
    assert await rows(database) == before


async def test_a_new_key_is_taken_where_the_previous_one_is_that_of_the_database(database):
    """W4."""
    await check_keys(database, settings_of(FIRST))
    with pytest.raises(StartError, match="PU_SECRET_KEY_PREVIOUS"):
        await check_keys(database, settings_of(SECOND, THIRD))
    await check_keys(database, settings_of(SECOND, FIRST))
    await check_keys(database, settings_of(SECOND))
    with pytest.raises(StartError, match="another PU_SECRET_KEY"):
        await check_keys(database, settings_of(FIRST))
    await check_keys(database, settings_of(FIRST, SECOND))  # and back again


async def test_keys_that_are_lost_can_be_given_up(database):
    await accept_keys(database, settings_of(FIRST))
    other = settings_of(SECOND, encrypt=b"2")
    await accept_keys(database, other)
    await check_keys(database, other)
    with pytest.raises(StartError, match="PU_ENCRYPT_KEY"):
        await check_keys(database, settings_of(FIRST))


async def test_another_domain_is_a_warning_and_a_command_of_the_operator_leaves_it(database):
    await check_keys(database, settings_of())
    with capture_logs() as logs:
        for domain in (None, "one.example", "one.example", None, "two.example"):
            await check_keys(database, settings_of(), domain=domain)
    assert [(entry["event"], entry["before"], entry["now"]) for entry in logs] == [
        ("storage.domain.differs", "one.example", "two.example")
    ]


async def test_of_two_first_starts_with_different_keys_one_is_refused(database):
    second = Database(database.url)
    try:
        outcomes = await asyncio.gather(
            check_keys(database, settings_of(FIRST)), check_keys(second, settings_of(SECOND)), return_exceptions=True
        )
    finally:
        await second.close()
    assert sorted(type(outcome) for outcome in outcomes if outcome) == [StartError]
    assert len(await rows(database)) == 1
