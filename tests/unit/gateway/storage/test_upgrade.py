"""Migrations: the schema they make is the schema that the program expects."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import URL

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage import upgrade as module
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.tables import metadata
from pepeunit_gateway.storage.upgrade import SCHEMA_REVISION, upgrade

MIGRATIONS = Path(module.__file__).parent / "migrations"

# protocol/entities.md 1.1-1.9, by hand: columns of the contract that must exist under these names
CONTRACT = {
    "users": "uuid role status login telegram_chat_id hashed_password cipher_dynamic_salt grafana_org_name "
    "grafana_org_id create_datetime",
    "repository_registry": "uuid platform repository_url is_public_repository cipher_credentials_private_repository "
    "releases_data local_repository_size sync_status sync_error sync_last_datetime create_datetime "
    "last_update_datetime creator_uuid",
    "repos": "uuid visibility_level name create_datetime last_update_datetime default_branch is_compilable_repo "
    "is_auto_update_repo default_commit is_only_tag_update creator_uuid repository_registry_uuid",
    "units": "uuid visibility_level name create_datetime last_update_datetime is_auto_update_from_repo_unit "
    "target_firmware_platform repo_branch repo_commit unit_state_dict current_commit_version cipher_env_dict "
    "cipher_state_storage firmware_update_status firmware_update_error last_firmware_update_datetime creator_uuid "
    "repo_uuid",
    "units_nodes": "uuid type visibility_level is_rewritable_input max_connections topic_name create_datetime "
    "last_update_datetime state is_data_pipe_active data_pipe_yml data_pipe_status data_pipe_error creator_uuid "
    "unit_uuid",
    "units_nodes_edges": "uuid node_output_uuid node_input_uuid creator_uuid",
    "permissions": "uuid agent_type agent_user_uuid agent_unit_uuid resource_type resource_repo_uuid "
    "resource_unit_uuid resource_unit_node_uuid",
    "dashboards": "uuid grafana_uuid name dashboard_url inc_last_version sync_status sync_error sync_last_datetime "
    "create_datetime creator_uuid",
    "dashboard_panels": "uuid type title create_datetime creator_uuid dashboard_uuid",
    "mtm_panels_unit_nodes": "uuid is_last_data is_forced_to_json create_datetime creator_uuid unit_node_uuid "
    "dashboard_panels_uuid",
    "unit_logs": "uuid level unit_uuid text create_datetime expiration_datetime",
    "n_last_entry": "unit_node_uuid state state_type create_datetime max_count size",
    "window_entry": "unit_node_uuid state state_type create_datetime expiration_datetime size",
    "aggregation_entry": "unit_node_uuid state aggregation_type time_window_size create_datetime "
    "start_window_datetime end_window_datetime",
}

# SQLAlchemy cannot read back the one index on an expression; its existence is asserted by name
EXPRESSION_INDEX = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")


@pytest.fixture
async def database(tmp_path):
    database = Database(URL.create("sqlite+aiosqlite", database=str(tmp_path / "x.sqlite3")))
    yield database
    await database.close()


def test_there_is_one_head_and_the_program_knows_it():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return compare_metadata(context, metadata)


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
@EXPRESSION_INDEX
async def test_the_migrations_make_the_tables_of_the_program(database):
    await upgrade(database)
    async with database.read() as connection:
        assert await connection.run_sync(_differences) == []
        indexes = await connection.run_sync(lambda c: c.execute(text("SELECT name FROM sqlite_master")).scalars().all())
    assert "uq_permissions_agent_resource" in indexes


async def test_every_column_of_the_contract_exists(database):
    await upgrade(database)
    async with database.read() as connection:
        found = await connection.run_sync(
            lambda c: {name: {col["name"] for col in inspect(c).get_columns(name)} for name in CONTRACT}
        )
    missing = {name: set(columns.split()) - found[name] for name, columns in CONTRACT.items()}
    assert missing == {name: set() for name in CONTRACT}


@EXPRESSION_INDEX
async def test_every_foreign_key_is_the_start_of_an_index(database):
    """W46."""
    await upgrade(database)

    def bare(connection: Connection) -> list[str]:
        inspector = inspect(connection)
        found = []
        for table in metadata.tables:
            starts = {index["column_names"][0] for index in inspector.get_indexes(table)}
            starts.add(inspector.get_pk_constraint(table)["constrained_columns"][0])
            starts |= {unique["column_names"][0] for unique in inspector.get_unique_constraints(table)}
            keys = {key["constrained_columns"][0] for key in inspector.get_foreign_keys(table)}
            found.extend(f"{table}.{column}" for column in sorted(keys - starts))
        return found

    async with database.read() as connection:
        assert await connection.run_sync(bare) == []


async def test_a_second_upgrade_changes_nothing(database):
    await upgrade(database)
    async with database.read() as connection:
        before = (await connection.execute(text("PRAGMA schema_version"))).scalar_one()
    await upgrade(database)
    async with database.read() as connection:
        assert (await connection.execute(text("PRAGMA schema_version"))).scalar_one() == before


async def test_a_newer_schema_is_refused(database):
    await upgrade(database)
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StartError, match="newer than this program"):
        await upgrade(database)


async def _become_older(database, monkeypatch):
    """Let the database be of a known revision before the first one that there is."""
    await upgrade(database)
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    monkeypatch.setattr(module, "_KNOWN_REVISIONS", ("0000", "0001", "0002", "0003", "0004"))


async def test_an_older_database_is_backed_up_before_anything_is_done_to_it(database, monkeypatch):
    await _become_older(database, monkeypatch)
    with pytest.raises(CommandError, match="0000"):  # Alembic, which knows of no such revision, comes afterwards
        await upgrade(database)
    with closing(sqlite3.connect(f"{database.url.database}.before-0004")) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [("0000",)]


@pytest.fixture
def no_room_for_a_backup(tmp_path):
    """A folder where the copy would go."""
    (tmp_path / "x.sqlite3.before-0004").mkdir()


@pytest.mark.usefixtures("no_room_for_a_backup")
async def test_without_a_backup_there_is_no_upgrade(database, monkeypatch):
    await _become_older(database, monkeypatch)
    with pytest.raises(StartError, match="cannot be backed up"):
        await upgrade(database)


async def test_a_file_that_is_no_database_is_a_clear_message(tmp_path):
    path = tmp_path / "x.sqlite3"
    path.write_bytes(b"this is a text, not a database\n" * 100)
    database = Database(URL.create("sqlite+aiosqlite", database=str(path)))
    try:
        with pytest.raises(StartError, match="cannot be opened"):
            await upgrade(database)
    finally:
        await database.close()
    assert path.read_bytes().startswith(b"this is a text")


def test_the_schema_is_sound_for_postgresql_too():
    """Every table compiles for PostgreSQL, the second database of a later issue."""
    engine = create_engine("sqlite://")
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateIndex, CreateTable

    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))
        for index in table.indexes:
            assert "INDEX" in str(CreateIndex(index).compile(dialect=postgresql.dialect()))
    engine.dispose()
