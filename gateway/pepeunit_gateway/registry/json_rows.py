"""Rows as JSON texts, made by the database: what the read models of the API would give, for a fraction of their time.

On SQLite a uuid is stored as 32 digits, a truth as 0 or 1, a time as text with a space; PostgreSQL leaves out zeros at
the end of a time. Tests hold the texts equal to the models.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Boolean, ColumnElement, String, Table, Uuid, literal_column

from pepeunit_gateway.storage.times import UtcDateTime

__all__ = ["json_row"]


def json_row(table: Table, names: Sequence[str], *, sqlite: bool, hidden: str = "") -> ColumnElement[str]:
    """Return the JSON object of these columns of a row, as text without the space of a reader; `hidden` is null."""
    if sqlite:
        members = ", ".join(f"'{name}', {'NULL' if name == hidden else _sqlite_value(table, name)}" for name in names)
        return literal_column(f"json_object({members})", String)
    columns = ", ".join(f"{'NULL' if name == hidden else _postgresql_value(table, name)} AS {name}" for name in names)
    row = f"SELECT row_to_json(r)::text FROM (SELECT {columns}) r"  # noqa: S608 - names of our own tables alone
    return literal_column(f"({row})", String)


def _sqlite_value(table: Table, name: str) -> str:
    column, kind = f"{table.name}.{name}", _kind(table, name)
    if isinstance(kind, Uuid):
        ends = (1, 8), (9, 4), (13, 4), (17, 4), (21, 12)
        return " || '-' || ".join(f"substr({column}, {start}, {length})" for start, length in ends)
    if isinstance(kind, UtcDateTime):
        return f"replace(replace({column}, ' ', 'T') || 'Z', '.000000Z', 'Z')"
    if isinstance(kind, Boolean):
        return f"json(CASE {column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"
    return column


def _postgresql_value(table: Table, name: str) -> str:
    column = f"{table.name}.{name}"
    if isinstance(_kind(table, name), UtcDateTime):
        return f"""replace(to_char({column}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z')"""
    return column


def _kind(table: Table, name: str) -> Any:
    return table.c[name].type
