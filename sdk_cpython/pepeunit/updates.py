"""Bringing a new version, a new env.json or a new schema.json from the gateway: checked first, then switched.

Nothing here touches a file in use before what came is complete and right (S1, S2). Source: protocol/device.md 1.3, 2.2.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .archive import WINDOW_BITS, Limits, unpack
from .env import ENV_FILE, Env, parse_env, read_env
from .errors import ArchiveError, EnvError, RestError, SchemaError
from .files import PRIVATE_FILE, PUBLIC_FILE, Disk, replace_file
from .installed import PRIVATE_FOLDER, Installed
from .rest import Rest
from .schema import SCHEMA_FILE, Schema, parse_schema, read_schema
from .switch import (
    DOWNLOAD_FILE,
    NEXT_FOLDER,
    PREVIOUS_ENV_FILE,
    PREVIOUS_SCHEMA_FILE,
    Switch,
    begin_switch,
    carry_out,
    discard_staged,
    plan_switch,
    survey,
)
from .worker import Workers

__all__ = ["Staged", "Updates"]

_MAX_DOWNLOAD = 64 * 1024 * 1024
_DOWNLOAD_TIME = 600.0
_DISK_TIME = 300.0
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Staged:
    """A version that lies complete and checked in `.pepeunit/next/`."""

    commit: str
    files: tuple[str, ...]


class Updates:
    """The unit's side of Update, EnvUpdate and SchemaUpdate, file by file."""

    def __init__(
        self,
        directory: Path,
        rest: Rest,
        unit_uuid: str,
        workers: Workers,
        *,
        program: str | None = None,
        disk: Disk | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`program` is the file that is started, below the directory: a version without it is refused."""
        self._directory = directory
        self._rest = rest
        self._uuid = unit_uuid
        self._workers = workers
        self._program = program
        self._disk = disk or Disk()
        self._limits = limits or Limits()
        self._writing = threading.Lock()

    async def target(self) -> str:
        """The commit that the gateway wants here. Raises RestError."""
        body = await self._rest.get(f"/units/get_target_version/{self._uuid}")
        try:
            commit = json.loads(body)["commit"]
        except (ValueError, KeyError, TypeError):
            commit = None
        if not isinstance(commit, str) or not commit:
            raise RestError("the gateway's answer names no target version")
        return commit

    async def stage(self) -> Staged:
        """Download the target version beside the running one and check it. Raises RestError or ArchiveError."""

        def receive(chunks: Iterator[bytes]) -> None:
            # A download that was given up may not have ended yet; two must not write one file.
            if not self._writing.acquire(timeout=5.0):
                raise RestError("the download before this one has not ended yet")
            try:
                discard_staged(self._disk, self._directory)
                self._disk.make_directory(self._directory / PRIVATE_FOLDER)
                self._disk.write(self._directory / DOWNLOAD_FILE, chunks, mode=PRIVATE_FILE)
            finally:
                self._writing.release()

        path = f"/units/firmware/tgz/{self._uuid}?wbits={WINDOW_BITS}&level=9"
        await self._rest.download(path, receive, limit=_MAX_DOWNLOAD, time_limit=_DOWNLOAD_TIME)
        return await self._beside(self.unpack_download)

    def unpack_download(self) -> Staged:
        """Blocking: unpack and check what was downloaded. Raises ArchiveError."""
        with self._writing:
            folder = self._directory / NEXT_FOLDER
            self._disk.make_directory(folder)
            with (self._directory / DOWNLOAD_FILE).open("rb") as file:
                files = unpack(self._disk, file, folder, self._limits)
            return Staged(self._check(folder, files), files)

    def switch(self, staged: Staged, before: Installed) -> Installed:
        """Blocking, short: put a staged version in the place of the running one. The program must start again.

        Raises SwitchError, and leaves the old version as it was, if something stands in the way.
        """
        with self._writing:
            live = survey(self._directory, {*staged.files, *before.files})
            switch: Switch = plan_switch(staged.commit, staged.files, before, live)
            begin_switch(self._disk, self._directory, switch)
            # The journal stands: what the disk refuses now, the start that follows will complete.
            with suppress(OSError):
                carry_out(self._disk, self._directory, switch)
            return switch.installed

    async def fetch_env(self) -> Env:
        """Take the gateway's env.json, keeping the one before as env.json.prev. Raises RestError or EnvError."""
        body = await self._rest.get(f"/units/env/{self._uuid}")
        values = parse_env(body, unit_uuid=self._uuid)
        path = self._directory / ENV_FILE
        before = path.read_bytes()
        await self._replace(path, _pretty(values), before, self._directory / PREVIOUS_ENV_FILE, PRIVATE_FILE)
        return Env(values)

    async def fetch_schema(self) -> Schema:
        """Take the gateway's schema.json, the one before becomes schema.json.prev. Raises RestError or SchemaError."""
        body = await self._rest.get(f"/units/get_current_schema/{self._uuid}")
        schema = parse_schema(body)
        path = self._directory / SCHEMA_FILE
        before = path.read_bytes()
        values = json.loads(body)
        data = _pretty(json.loads(values) if isinstance(values, str) else values)
        await self._replace(path, data, before, path.with_name(PREVIOUS_SCHEMA_FILE), PUBLIC_FILE)
        return schema

    async def _replace(self, path: Path, data: bytes, before: bytes, previous: Path, mode: int) -> None:
        """Replace a live file with what was checked; a repeat of what is there writes nothing."""
        if data == before:
            return

        def write() -> None:
            with self._writing:
                replace_file(self._disk, previous, before, mode=mode)
                replace_file(self._disk, path, data, mode=mode)

        await self._beside(write)

    async def _beside(self, function: Callable[[], _Result]) -> _Result:
        """Disk work in a thread. It cannot be stopped, only no longer be waited for."""
        try:
            return await self._workers.run(function, time_limit=_DISK_TIME, abort=lambda: None)
        except TimeoutError:
            raise ArchiveError("the disk is too slow or stuck") from None

    def _check(self, folder: Path, files: tuple[str, ...]) -> str:
        """The commit of an unpacked version, if it can run here. Raises ArchiveError."""
        try:
            env = read_env(folder)
            parse_env((folder / ENV_FILE).read_bytes(), unit_uuid=self._uuid)
            read_schema(folder)
        except (EnvError, SchemaError) as error:
            raise ArchiveError(f"the new version cannot run here: {error}") from None
        commit = env.text("PU_COMMIT_VERSION")
        if not commit:
            raise ArchiveError("env.json of the new version does not name its PU_COMMIT_VERSION")
        if self._program is not None and self._program not in files:
            raise ArchiveError(f"the new version has no {self._program}, which is what is started here")
        return commit


def _pretty(values: object) -> bytes:
    return json.dumps(values, indent=4, ensure_ascii=False).encode("utf-8", "replace")
