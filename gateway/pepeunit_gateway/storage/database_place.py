"""Which database a data folder goes with: kept in it, so that no command of the operator makes another one unawares.

    database.json    kind, host, port and name of the database; no user and no password

`gateway run` may change it, and says so; every other command is refused on another database.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import SecretStr

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.data_folder import database_url
from pepeunit_gateway.storage.engines import POSTGRESQL, SQLITE
from pepeunit_gateway.storage.kept_file import read_kept, write_kept

__all__ = ["DatabasePlace", "check_place", "keep_place", "place_of", "require_gateway"]

_FILE = "database.json"
_VARIABLE = "PU_SQLALCHEMY_DATABASE_URL"


@dataclass(frozen=True)
class DatabasePlace:
    """Where a database is. Of SQLite `name` is the file, empty for that of the data folder, wherever that is moved."""

    kind: str
    name: str
    host: str = ""
    port: str = ""

    @property
    def is_own_file(self) -> bool:
        return self.kind == SQLITE and not self.name

    @property
    def text(self) -> str:
        """For a person, e.g. `PostgreSQL fleet at 127.0.0.1:5432`."""
        if self.kind == POSTGRESQL:
            return f"PostgreSQL {self.name} at {self.host or 'localhost'}:{self.port}"
        return f"SQLite file {self.name}" if self.name else "SQLite file of the data folder"


def _option(value: str | tuple[str, ...] | None) -> str:
    return value or "" if not isinstance(value, tuple) else value[-1]


def place_of(settings: Settings) -> DatabasePlace:
    """Return the place that the settings name."""
    url = database_url(settings)
    if url.get_backend_name() == POSTGRESQL:
        host = url.host or _option(url.query.get("host"))
        port = str(url.port or "") or _option(url.query.get("port")) or "5432"
        return DatabasePlace(POSTGRESQL, url.database or "", host, port)
    path = Path(url.database or "").absolute()
    return DatabasePlace(SQLITE, "" if path == _own_file(settings) else str(path))


def _own_file(settings: Settings) -> Path:
    own = database_url(settings.model_copy(update={"sqlalchemy_database_url": SecretStr("")})).database
    return Path(own or "").absolute()


def _kept(settings: Settings) -> DatabasePlace | None:
    path = settings.data_dir / _FILE
    try:
        values = read_kept(path)
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}. Work as the user whose gateway it is") from None
    if not values:
        return None
    try:
        return DatabasePlace(**values)
    except TypeError:
        raise StartError(f"{path} is damaged; remove it, and start the gateway with its {_VARIABLE}") from None


def keep_place(settings: Settings, *, first_only: bool = False) -> DatabasePlace | None:
    """Keep the place of a database that is in use by now.

    Args:
        settings: whose data folder exists.
        first_only: leave what is kept already.

    Returns:
        The place before, if it was another one.

    Raises:
        StartError: what is kept is damaged.
    """
    kept, place = _kept(settings), place_of(settings)
    if kept is None or (kept != place and not first_only):
        write_kept(settings.data_dir / _FILE, asdict(place))
    return kept if kept != place else None


def check_place(settings: Settings) -> None:
    """Refuse a command of the operator on another database than that of the data folder; make nothing.

    Raises:
        StartError: says which variable to set, in one line.
    """
    kept, place = _kept(settings), place_of(settings)
    if kept is None or kept == place:
        return
    advice = f"unset {_VARIABLE}" if kept.is_own_file else f"set {_VARIABLE} as that gateway has it"
    raise StartError(
        f"The data folder {settings.data_dir} is that of a gateway on the database {kept.text}, and this command would "
        f"work on the {place.text}: {advice}, in the environment or in .env of the working folder. Only `gateway run` "
        "changes the database of a data folder."
    )


def require_gateway(settings: Settings) -> None:
    """Refuse a command that is of use on a gateway alone, where none has ever been; make nothing.

    Raises:
        StartError: says where to run it, in one line.
    """
    if _kept(settings) is None and not _own_file(settings).exists():
        raise StartError(
            f"There has never been a gateway in the data folder {settings.data_dir}: set PU_DATA_DIR to that of the "
            "gateway, or run this command in the folder where its .env lies"
        )
