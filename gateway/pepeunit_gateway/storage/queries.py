"""Statements that do not change, compiled once and run by the driver itself.

The way through SQLAlchemy takes four times the processor time of the statement itself; that matters for what
every request asks. Values go in by name, rows come out as the driver gives them: text and numbers are alike on every
database, truth is 0 and 1 on SQLite, so select nothing else.
"""

from collections.abc import Callable, Mapping
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


class FixedQuery:
    """A SELECT of text and numbers whose values are `parameter`s."""

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def render(self, dialect: Dialect, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """Return the text and its arguments as the driver of `dialect` takes them."""
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self.statement, dialect)
        arguments = []
        for name, constant, process in compiled.places:
            value = values.get(name, constant)
            arguments.append(value if process is None or value is None else process(value))
        return compiled.text, arguments


def _compile(statement: Select[Any], dialect: Dialect) -> _Compiled:
    made: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    constants = made.params
    places = []
    for name in made.positiontup:
        bind = made.binds.get(name)
        process = bind.type.dialect_impl(dialect).bind_processor(dialect) if bind is not None else None
        places.append((name, constants.get(name), process))
    return _Compiled(made.string, tuple(places))
