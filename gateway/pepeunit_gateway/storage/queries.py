"""Statements that do not change, compiled once and run by the driver itself.

The way through SQLAlchemy takes four times the processor time of the statement itself; that matters for what
every request asks. Values go in by name. Rows come out as the driver gives them: text and numbers are alike on every
database, truth is 0 and 1 on SQLite. Where more is selected, `records` makes of them what SQLAlchemy would.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Dialect, Select, bindparam
from sqlalchemy.types import TypeEngine

__all__ = ["FixedQuery", "parameter"]

_Processor = Callable[[Any], Any]


def parameter(name: str, kind: type[TypeEngine[Any]] | None = None) -> BindParameter[Any]:
    """Return the place of a value in a FixedQuery; without a `kind` it has that of the column it is compared with."""
    return bindparam(name, None, kind)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The text for one database and, in order, which value each placeholder takes: its name, or else a constant."""

    text: str
    places: tuple[tuple[str, Any, _Processor | None], ...]
    record: type[Any]
    columns: tuple[_Processor | None, ...]


class FixedQuery:
    """A SELECT whose values are `parameter`s."""

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def render(self, dialect: Dialect, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """Return the text and its arguments as the driver of `dialect` takes them."""
        compiled = self._for(dialect)
        arguments = []
        for name, constant, process in compiled.places:
            value = values.get(name, constant)
            arguments.append(value if process is None or value is None else process(value))
        return compiled.text, arguments

    def records(self, dialect: Dialect, rows: Iterable[Sequence[Any]]) -> list[Any]:
        """Return rows of the driver with names, UUIDs, truth and times; `_mapping` as SQLAlchemy's rows have it."""
        compiled = self._for(dialect)
        record, columns = compiled.record, compiled.columns
        return [
            record(*[value if process is None else process(value) for process, value in zip(columns, row, strict=True)])
            for row in rows
        ]

    def _for(self, dialect: Dialect) -> _Compiled:
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self.statement, dialect)
        return compiled


def _compile(statement: Select[Any], dialect: Dialect) -> _Compiled:
    made: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    constants = made.params
    places = []
    for name in made.positiontup:
        bind = made.binds.get(name)
        process = bind.type.dialect_impl(dialect).bind_processor(dialect) if bind is not None else None
        places.append((name, constants.get(name), process))
    selected = statement.selected_columns
    columns = tuple(column.type.dialect_impl(dialect).result_processor(dialect, None) for column in selected)
    return _Compiled(made.string, tuple(places), _record([str(column.key) for column in selected]), columns)


def _record(names: Sequence[str]) -> type[Any]:
    class Record(namedtuple("Record", names, rename=True)):  # type: ignore[misc] # noqa: PYI024 - the names are known only now
        """One row."""

        __slots__ = ()

        @property
        def _mapping(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

    return Record
