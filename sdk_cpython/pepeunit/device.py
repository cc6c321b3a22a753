"""What one unit has on its own disk and holds in memory: settings, topics, the installed version, the log."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .env import Env, read_env, token_uuid
from .files import Disk
from .installed import Installed, read_installed, write_installed
from .log import Log
from .schema import Schema, read_schema
from .worker import Workers

if TYPE_CHECKING:
    from .updates import Staged

__all__ = ["Device", "program_path"]


class Device:
    """The ground that a unit stands on. `env` and `schema` are replaced whole when the gateway sends new ones."""

    def __init__(self, directory: Path, *, program: Path | None = None, disk: Disk | None = None) -> None:
        """`program` is the file that is started, the one of this process if none is given.

        Raises EnvError or SchemaError if env.json or schema.json is missing or broken.
        """
        self.directory = directory
        self._disk = disk or Disk()
        # Not at the top, to keep `import pepeunit` light.
        from .rest import Rest
        from .updates import Updates

        self.env = read_env(directory)
        self.schema: Schema = read_schema(directory)
        self.uuid = token_uuid(self.env.text("PU_AUTH_TOKEN"))
        self._installed = self._read_or_begin_installed()
        self.log = Log(directory, self._current_env)
        workers = Workers()
        self.rest = Rest(self._current_env, workers)
        started = _below(program or program_path(), directory)
        self.updates = Updates(directory, self.rest, self.uuid, workers, program=started, disk=self._disk)

    @property
    def installed_commit(self) -> str:
        """The version that is complete here."""
        return self._installed.commit

    def install(self, staged: "Staged") -> None:
        """Blocking, short: switch to a staged version; the program must start again. Raises SwitchError."""
        self._installed = self.updates.switch(staged, self._installed)

    def _current_env(self) -> Env:
        return self.env

    def _read_or_begin_installed(self) -> Installed:
        """What is installed. The very first start believes env.json, and never again: later that may run ahead (S4)."""
        installed = read_installed(self.directory)
        if installed is None:
            installed = Installed(self.env.text("PU_COMMIT_VERSION"))
            write_installed(self._disk, self.directory, installed)
        return installed


def program_path() -> Path | None:
    """The file that was started; None in an interactive interpreter."""
    name = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(name).absolute() if name else None


def _below(program: Path | None, directory: Path) -> str | None:
    """The started program as a path below the unit's directory; None if it lies elsewhere."""
    if program is None or directory not in program.parents:
        return None
    return program.relative_to(directory).as_posix()
