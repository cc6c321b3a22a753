"""A copy of a PostgreSQL database at one moment, made by PostgreSQL's own pg_dump."""

import asyncio
import contextlib
import os
import shutil
from pathlib import Path

from sqlalchemy.engine import URL

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage.postgresql import dump_environment, shown
from pepeunit_gateway.storage.whole_file import written_whole

__all__ = ["dump"]

_LIMIT = 3600.0
_LOCK_LIMIT = "60s"
_MESSAGE_LENGTH = 500


async def dump(url: URL, copy: Path) -> None:
    """Write the database to `copy` for `pg_restore`: mode 0600, there completely or not at all.

    An older `copy` is replaced. The password is handed over in the environment, never on the command line.

    Raises:
        StartError: pg_dump is missing, fails or takes longer than an hour; nothing was changed.
    """
    program = shutil.which("pg_dump")
    if program is None:
        raise StartError(
            f"pg_dump is missing, and the database {shown(url)} must be backed up before its upgrade. Nothing was "
            "changed; install it, then start again: apt-get install postgresql-client"
        )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    try:
        with written_whole(copy) as path:
            await _run(program, path, {**environment, "LC_ALL": "C.UTF-8", **dump_environment(url)})
    except (OSError, _DumpError) as error:
        raise StartError(
            f"The database {shown(url)} cannot be backed up to {copy} before its upgrade: {error}. Nothing was "
            f"changed; see to it that {copy.parent} is writable and has room, then start again."
        ) from error


class _DumpError(Exception):
    """Said by pg_dump."""


async def _run(program: str, path: Path, environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        program, "--format=custom", "--no-password", f"--lock-wait-timeout={_LOCK_LIMIT}", f"--file={path}",
        env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_LIMIT):
            _, said = await process.communicate()
    except TimeoutError:
        raise _DumpError("pg_dump took longer than an hour") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise _DumpError(said.decode(errors="replace").strip()[:_MESSAGE_LENGTH] or "pg_dump failed")
