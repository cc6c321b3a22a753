"""docs/access.md, made of the same rows that the test executes."""

from tests.support.access.entities import ENTITIES
from tests.support.access.table import AGENTS, Entity, Row

__all__ = ["render"]

_HEAD = """# Who may do what

This page is made of the table that `tests/integration/test_access_table.py` executes: every route, by every agent, at
every level, over HTTP on a running gateway with SQLite and with PostgreSQL. The table is written by hand in
`tests/support/access/`; after a change there run `make docs`.

| agent | who that is |
|---|---|
| Bot | no token |
| stranger | a User without any relation to the entity |
| creator | the User who made it; reaches it at every level |
| permitted User | a User whom a permission on it names |
| blocked User | a User who was blocked; their tokens have ended |
| Admin | an Admin without any relation to it |
| Unit itself | the unit's own token |
| other Unit | a unit of the stranger |
| permitted Unit | a unit whom a permission on it names |
| Backend | the token of a data pipe in the field, where `PU_ALLOW_EXTERNAL_DATAPIPE=true`; else always 401 |

An Admin lists everything and reads its public fields, blocks users, deletes what is another's, and revokes permissions
and the tokens of units. An Admin grants nothing, changes nothing of others, and reads nothing private of others.

A cell reads **Public / Internal / Private**, or has one answer for all three. ✓ is the status in the second column; in
a list ✓ means that the entity is there, and *no* that it is not. Other figures are the status of the refusal: **401**
no token where one is needed, or one that has ended; **403** a token, and not allowed. *None there* is what Bot and a
User get for a uuid that names nothing. [visibility.md](visibility.md) tells the levels, and what a permission opens.

A named token of a User (`/tokens`) reaches what its owner reaches, less what its scope leaves out: *Read* changes
nothing and gets no secrets (`env.json`, archives, stored state of units, stored git credentials), and no named token
manages users, passwords and tokens.
"""


def _symbol(row: Row, symbol: str) -> str:
    return {"+": "✓", "-": "no"}.get(symbol) or str(row.outcome(symbol).status)


def _cell(row: Row, cell: str) -> str:
    shown = [_symbol(row, symbol) for symbol in cell]
    return shown[0] if len(set(shown)) == 1 else " / ".join(shown)


def _route(entity: Entity, row: Row) -> str:
    # what stands together in one code span is a route of the API, as on every page
    text = f"`{row.method} {row.path}`" if entity.prefixed else f"{row.method} `{row.path}`"
    if row.variant:
        text += f" {row.variant.replace('-', ' ')}"
    return text + (f" ({row.notes})" if row.notes else "")


def _line(entity: Entity, row: Row) -> str:
    none = "" if row.none == "." else " / ".join(_symbol(row, symbol) for symbol in row.none)
    ok = "200" if row.ok == "list" else row.ok
    cells = [_route(entity, row), ok, *(_cell(row, row.cells[agent]) for agent in AGENTS), none]
    return "| " + " | ".join(cells) + " |"


def _section(entity: Entity) -> list[str]:
    heading = ["route", "✓", *AGENTS, "none there"]
    lines = ["", f"## {entity.title}", "", " ".join(entity.about.split()), ""]
    lines += ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    lines += [_line(entity, row) for row in entity.rows]
    if entity.notes:
        lines += ["", *(f"- ({letter}) {text}" for letter, text in sorted(entity.notes.items()))]
    return lines


def render() -> str:
    """Return the page."""
    lines = _HEAD.rstrip().splitlines()
    for entity in ENTITIES:
        lines += _section(entity)
    return "\n".join(lines) + "\n"
