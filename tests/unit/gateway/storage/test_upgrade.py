"""Migrations: the schema they make is the schema that the program expects."""

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from structlog.testing import capture_logs

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage import upgrade as module
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.own_tables import metadata
from pepeunit_gateway.storage.upgrade import SCHEMA_REVISION, upgrade
from tests.support.databases import open_database, session_databases

BOTH_DATABASES = True

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
    async with open_database(tmp_path, migrated=False) as opened:
        yield opened


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
async def test_the_migrations_make_the_tables_of_the_program(database, tmp_path):
    await upgrade(database, tmp_path)
    async with database.read() as connection:
        assert await connection.run_sync(_differences) == []
        catalogue = "name FROM sqlite_master" if database.is_sqlite else "indexname FROM pg_indexes"
        indexes = (await connection.execute(text(f"SELECT {catalogue}"))).scalars().all()
    assert "uq_permissions_agent_resource" in indexes


async def test_every_column_of_the_contract_exists(database, tmp_path):
    await upgrade(database, tmp_path)
    async with database.read() as connection:
        found = await connection.run_sync(
            lambda c: {name: {col["name"] for col in inspect(c).get_columns(name)} for name in CONTRACT}
        )
    missing = {name: set(columns.split()) - found[name] for name, columns in CONTRACT.items()}
    assert missing == {name: set() for name in CONTRACT}


@EXPRESSION_INDEX
async def test_w46_every_foreign_key_is_the_start_of_an_index(database, tmp_path):
    """W46."""
    await upgrade(database, tmp_path)

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


async def test_a_second_upgrade_changes_nothing(database, tmp_path, monkeypatch):
    await upgrade(database, tmp_path)
    monkeypatch.setattr(module, "_migrate", None)
    await upgrade(database, tmp_path)
    assert list(tmp_path.glob("*.before-*")) == []


async def test_a_newer_schema_is_refused(database, tmp_path):
    await upgrade(database, tmp_path)
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StartError, match="newer than this program"):
        await upgrade(database, tmp_path)


async def test_of_many_that_start_together_one_makes_the_tables_and_all_go_on(tmp_path):
    url = session_databases.url_for(tmp_path, migrated=False)
    several = [Database(url) for _ in range(5)]
    try:
        with capture_logs() as logs:
            await asyncio.gather(*(upgrade(database, tmp_path) for database in several))
        assert [entry["event"] for entry in logs] == ["storage.schema.ready"]
        async with several[0].read() as connection:
            assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).all() == [
                (SCHEMA_REVISION,)
            ]
    finally:
        for database in several:
            await database.close()
