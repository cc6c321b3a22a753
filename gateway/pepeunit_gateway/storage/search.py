"""Search in texts without regard to case: of every alphabet, and with the same answer on SQLite and PostgreSQL.

Left alone SQLite knows the case of ASCII letters only, and PostgreSQL that of the language it was set up with.
"""

from typing import Any

from sqlalchemy import ColumnElement, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["COLLATION", "LOWER", "contains", "lower"]

LOWER = "pepeunit_lower"
"""The function that every connection to SQLite gets."""

COLLATION = "und-x-icu"
"""What tells PostgreSQL the case of every alphabet; there wherever PostgreSQL was built with ICU."""


def lower(text: str | None) -> str | None:
    """Return what `LOWER` returns."""
    return None if text is None else text.lower()


class _Lowered(FunctionElement[str]):
    """A text in lower case."""

    type = String()
    inherit_cache = True


@compiles(_Lowered, "sqlite")
def _on_sqlite(element: _Lowered, compiler: SQLCompiler, **options: Any) -> str:
    return f"{LOWER}({compiler.process(element.clauses, **options)})"


@compiles(_Lowered, "postgresql")
def _on_postgresql(element: _Lowered, compiler: SQLCompiler, **options: Any) -> str:
    return f'lower({compiler.process(element.clauses, **options)} COLLATE "{COLLATION}")'


def contains(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Tell whether `text` occurs in `column`; `%` and `_` mean themselves."""
    return _Lowered(column).contains(text.lower(), autoescape=True)
