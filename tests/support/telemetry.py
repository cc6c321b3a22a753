"""A database with units and nodes, and what the tables hold afterwards."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Table, select, update

from pepeunit_gateway.datapipe.config import DataPipeConfig
from pepeunit_gateway.registry.default_pipe import DEFAULT_PIPE_JSON
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.tables import units, units_nodes

BORN = datetime(2024, 1, 1, tzinfo=UTC)


async def add_unit(database: Database, **columns: Any) -> UUID:
    uuid = uuid4()
    row = {"uuid": uuid, "name": f"unit_{uuid.hex[:12]}", "create_datetime": BORN, "last_update_datetime": BORN}
    async with database.write() as connection:
        await connection.execute(units.insert(), [{**row, **columns}])
    return uuid


async def add_node(
    database: Database, unit: UUID, config: str | None = DEFAULT_PIPE_JSON, *, active: bool = True, **columns: Any
) -> UUID:
    uuid = uuid4()
    row = {
        "uuid": uuid,
        "type": "Output",
        "topic_name": f"value_{uuid.hex[:8]}/pepeunit",
        "unit_uuid": unit,
        "create_datetime": BORN,
        "last_update_datetime": BORN,
        "is_data_pipe_active": active,
        "data_pipe_yml": config,
    }
    async with database.write() as connection:
        await connection.execute(units_nodes.insert(), [{**row, **columns}])
    return uuid


async def change_node(database: Database, uuid: UUID, **columns: Any) -> None:
    async with database.write() as connection:
        await connection.execute(update(units_nodes).where(units_nodes.c.uuid == uuid).values(**columns))


async def rows_of(database: Database, table: Table) -> list[dict[str, Any]]:
    """All rows in the order of arrival."""
    async with database.read() as connection:
        found = await connection.execute(select(table).order_by(*table.primary_key))
        return [dict(row) for row in found.mappings()]


async def row_of(database: Database, table: Table, uuid: UUID) -> dict[str, Any]:
    async with database.read() as connection:
        found = await connection.execute(select(table).where(table.c.uuid == uuid))
        return dict(found.mappings().one())


def config(
    filters: Mapping[str, Any] | None = None,
    policy: Mapping[str, Any] | None = None,
    period: Mapping[str, Any] | None = None,
    transformations: Mapping[str, Any] | None = None,
) -> DataPipeConfig:
    """A configuration that keeps every text as LastValue, changed by what is given."""
    return DataPipeConfig.model_validate(
        {
            "active_period": {"type": "Permanent", **(period or {})},
            "filters": {"type_input_value": "Text", "max_rate": 0, "max_size": 0, **(filters or {})},
            "transformations": transformations,
            "processing_policy": {"policy_type": "LastValue", **(policy or {})},
        }
    )
