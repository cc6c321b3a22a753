"""How many SQL statements each request runs: counted by its id, so that jobs in the background do not count."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from sqlalchemy import Engine, event

from pepeunit_gateway.storage.database import Database
from tests.support.gateway import Reply

__all__ = ["RequestStatements", "counting"]

_IGNORED = ("BEGIN", "PRAGMA", "COMMIT", "ROLLBACK")


_VALUES = re.compile(r"(\?|\$\d+(::\w+)?)(, (\?|\$\d+(::\w+)?))*")
"""Parameters in a row, which are as many as there are rows."""


def _shape(statement: str) -> str:
    return _VALUES.sub("?", " ".join(statement.split()))


class RequestStatements:
    """What was counted; `of` tells one request's statements by its answer."""

    def __init__(self) -> None:
        self._ran: dict[str, list[str]] = {}

    def note(self, statement: str) -> None:
        """Note a statement of the request that runs here."""
        request = structlog.contextvars.get_contextvars().get("request_id")
        if request is not None and not statement.startswith(_IGNORED):
            self._ran.setdefault(request, []).append(statement)

    def of(self, reply: Reply) -> list[str]:
        """Return the statements of one request, in order."""
        return self._ran.get(reply.headers["X-Request-ID"], [])

    @staticmethod
    def more(few: list[str], many: list[str]) -> dict[str, int]:
        """Return which statements came more often or less often, for the message of a failing test."""
        count = Counter(map(_shape, many))
        count.subtract(map(_shape, few))
        return {statement[:200]: number for statement, number in count.items() if number}


@contextmanager
def counting() -> Iterator[RequestStatements]:
    """Count the statements of every engine, and those that go to the driver directly."""
    counted, fetch = RequestStatements(), Database.fetch

    def ran(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        counted.note(statement)

    async def noted_fetch(database: Database, query: Any, **values: Any) -> Any:
        counted.note(f"fetch {query.statement}")
        return await fetch(database, query, **values)

    event.listen(Engine, "before_cursor_execute", ran)
    Database.fetch = noted_fetch  # type: ignore[method-assign]
    try:
        yield counted
    finally:
        Database.fetch = fetch  # type: ignore[method-assign]
        event.remove(Engine, "before_cursor_execute", ran)
