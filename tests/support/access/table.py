"""The access table: how its rows are written by hand, and what a cell expects.

    route                          ok   Bot str cre per blo Adm uni oth puU Bck  none
    GET    /repos/{uuid}           200  +11 ++3 +   +   1   +   +   ++3 +   3    44

A cell has one symbol per visibility level, or one for all of them:

    +   the status in `ok`; for a list, 200 and the entity is in it
    -   a list without the entity
    1   401        2   422        3   403        4   404        5   405        9   409

`none` is what Bot and a User get for a uuid that names nothing (W16), `.` where the route takes none. A word that
begins with @ tells two uses of one route apart; a letter at the end leads to a footnote.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["AGENTS", "ANY", "LEVELS", "Call", "Caller", "Entity", "Outcome", "Row", "Subject", "read_rows"]

ANY = "ANY"
"""Every method."""

AGENTS = (
    "Bot",
    "stranger",
    "creator",
    "permitted User",
    "blocked User",
    "Admin",
    "Unit itself",
    "other Unit",
    "permitted Unit",
    "Backend",
)
LEVELS = ("Public", "Internal", "Private")
LIST = "list"
_STATUS = {"1": 401, "2": 422, "3": 403, "4": 404, "5": 405, "9": 409}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A status and, for a list, whether the entity is in it."""

    status: int
    listed: bool | None = None

    def __str__(self) -> str:
        return f"{self.status}{'' if self.listed is None else ' with it' if self.listed else ' without it'}"


@dataclass(frozen=True, slots=True)
class Row:
    """One route as one line of the table; a cell is a text with one symbol per level."""

    method: str
    path: str
    variant: str
    ok: str
    cells: Mapping[str, str]
    none: str
    notes: str

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}" + (f" @{self.variant}" if self.variant else "")

    def outcome(self, symbol: str) -> Outcome:
        """Say what a symbol means in this row."""
        if self.ok == LIST and symbol in "+-":
            return Outcome(200, symbol == "+")
        return Outcome(int(self.ok) if symbol == "+" else _STATUS[symbol])


@dataclass(frozen=True, slots=True)
class Subject:
    """The uuids that a request is about; those that an entity has no use for stay empty."""

    registry: str = ""
    bare_registry: str = ""  # one without Repos
    webhook: str = ""  # the secret of its webhook
    repo: str = ""
    bare_repo: str = ""  # one without units
    unit: str = ""
    output: str = ""
    input: str = ""
    rewritable: str = ""  # an Input
    edge: str = ""
    user: str = ""
    login: str = ""
    password: str = ""
    token: str = ""  # a named token's uuid
    domain: str = ""
    holder: str = ""  # whom a permission on each of these names
    level: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)  # tokens of callers who exist for this subject only


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and the nodes that are theirs."""

    name: str
    token: str | None
    own_output: str
    own_input: str


@dataclass(frozen=True, slots=True)
class Call:
    """A request; `marker` is the text by which a list tells that the entity is in it."""

    path: str
    body: Any = None
    upload: bytes | None = None
    upload_field: str = "data"
    raw: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    marker: str = ""


Request = Callable[[Subject, Caller], Call]


@dataclass(frozen=True, slots=True)
class Entity:
    """The routes of one noun.

    Args:
        title: the heading in docs/access.md.
        about: what the agents are to this entity, in Markdown.
        kind: how the stage makes its subject.
        levels: the columns of every cell.
        rows: the table.
        requests: how each row is asked, by its key.
        destroys: rows after whose success the subject is made anew.
        notes: the footnotes by their letters.
        prefixed: the paths come after PU_APP_PREFIX and PU_API_V1_PREFIX.
    """

    title: str
    about: str
    kind: str
    levels: tuple[str, ...]
    rows: tuple[Row, ...]
    requests: Mapping[str, Request]
    destroys: frozenset[str] = frozenset()
    notes: Mapping[str, str] = field(default_factory=dict)
    prefixed: bool = True

    def __post_init__(self) -> None:
        asked, told = set(self.requests), {row.key for row in self.rows}
        if asked != told or not self.destroys <= told:
            raise ValueError(f"{self.title}: {sorted(asked ^ told)} is in one of table and requests only")
        if {note for row in self.rows for note in row.notes} != set(self.notes):
            raise ValueError(f"{self.title}: a footnote is missing or never used")


def read_rows(text: str, levels: tuple[str, ...]) -> tuple[Row, ...]:
    """Read the lines of a table as the module's docstring has them; the first line is the heading."""
    return tuple(_row(line, len(levels)) for line in text.strip().splitlines()[1:] if line.strip())


def _row(line: str, levels: int) -> Row:
    method, path, *rest = line.split()
    variant = rest.pop(0)[1:] if rest[0].startswith("@") else ""
    ok, *cells = rest[: len(AGENTS) + 1]
    none, *notes = rest[len(AGENTS) + 1 :] or [""]
    spread = [cell * levels if len(cell) == 1 else cell for cell in cells]
    if not none or len(notes) > 1 or any(len(cell) != levels for cell in spread):
        raise ValueError(f"a cell is missing or has not {levels} symbols: {line}")
    return Row(method, path, variant, ok, dict(zip(AGENTS, spread, strict=True)), none, notes[0] if notes else "")
