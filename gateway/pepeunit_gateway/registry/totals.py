"""How many entities this platform has, counted at most every ten minutes. Source: protocol/rest.md 2.8."""

from dataclasses import dataclass, fields

from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticError
from sqlalchemy import func, select

from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.storage.tables import repos, repository_registry, units, units_nodes, units_nodes_edges, users

__all__ = ["Totals", "count_entities"]

_KEY = "totals"
_LIFETIME = 600.0


@dataclass(frozen=True, slots=True)
class Totals:
    """The numbers of rows; they tell nothing about anybody's entities."""

    user_count: int
    repository_registry_count: int
    repo_count: int
    unit_count: int
    unit_node_count: int
    unit_node_edge_count: int


_STORED = TypeAdapter(Totals)
_TABLES = dict(
    zip(
        (field.name for field in fields(Totals)),
        (users, repository_registry, repos, units, units_nodes, units_nodes_edges),
        strict=True,
    )
)


async def count_entities(context: Context) -> Totals:
    """Return what was counted in the last ten minutes, in any gateway, or count anew: one statement."""
    kept = await context.bus.recall(_KEY)
    if kept is not None:
        try:
            return _STORED.validate_json(kept)
        except PydanticError:  # kept by another version of the gateway
            await context.bus.forget(_KEY)
    counts = [select(func.count()).select_from(table).scalar_subquery().label(name) for name, table in _TABLES.items()]
    async with context.database.read() as connection:
        row = (await connection.execute(select(*counts))).one()
    totals = Totals(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented access to the columns
    await context.bus.keep(_KEY, _STORED.dump_json(totals), _LIFETIME)
    return totals
