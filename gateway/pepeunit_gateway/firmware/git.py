"""The git command line: one runner with a clean environment, a time limit and a limit on what it may print.

Nothing of the machine's or the user's configuration reaches git: no system or global config, no hooks, no helpers, no
prompts, no proxies, no submodules; redirects are not followed. Settings travel in the environment (`GIT_CONFIG_*`),
never on the command line, because a credential may be among them (W6).
"""

import asyncio
import os
import signal
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pepeunit_gateway.errors import GitRepoError

__all__ = ["GitOutput", "git_environment", "run_git"]

_STDERR_LINES = 40
_STDERR_LINE = 1_000
_TERM_GRACE = 2.0
_CONFIG = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("http.followRedirects", "false"),
    ("http.proxy", ""),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "20"),  # seconds without a byte a second; a server that prepares a pack says so every 5 s
    ("fetch.unpackLimit", "1"),  # keep packs: one file per fetch, whatever its size
    ("fetch.recurseSubmodules", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("pack.threads", "1"),
    ("transfer.credentialsInUrl", "die"),
)


@dataclass(frozen=True, slots=True)
class GitOutput:
    """How git ended; `stdout` is empty when it went to a file, `stderr` holds the last lines without control codes."""

    code: int
    stdout: bytes
    stderr: str


def git_environment(*, search_path: str, protocols: str = "", config: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """Return the whole environment of a git process.

    Args:
        search_path: PATH.
        protocols: the transports git may use, e.g. `https` or `http:https`; none by default.
        config: settings beside our own, e.g. the header with a credential.
    """
    pairs = (*_CONFIG, *config)
    environment = {
        "PATH": search_path,
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_CONFIG_COUNT": str(len(pairs)),
    }
    for number, (key, value) in enumerate(pairs):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return environment


async def run_git(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    limit: float,
    git_dir: Path | None = None,
    stdin: bytes = b"",
    stdout: BinaryIO | None = None,
    max_output: int = 8 * 1024 * 1024,
    pass_fds: Sequence[int] = (),
) -> GitOutput:
    """Run git to its end in a process group of its own.

    Args:
        arguments: everything after `git`; free of secrets.
        environment: from `git_environment`.
        limit: seconds; then the group gets SIGTERM and, 2 s later, SIGKILL.
        git_dir: the repository.
        stdin: what git reads.
        stdout: a file for its output instead of memory.
        max_output: bytes kept in memory; more ends git.
        pass_fds: descriptors that git holds as long as it runs, e.g. of a lock.

    Raises:
        TimeoutError: the limit passed.
        GitRepoError: git is not installed, or it printed more than `max_output`.
    """
    where = () if git_dir is None else (f"--git-dir={git_dir}",)
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                *where,
                *arguments,
                stdin=given if stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                cwd="/",
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        except FileNotFoundError as error:
            raise GitRepoError(
                "git is not installed on the gateway's machine; install it: apt-get install git"
            ) from error
    return await _finish(process, limit, max_output)


async def _finish(process: asyncio.subprocess.Process, limit: float, max_output: int) -> GitOutput:
    tail = asyncio.create_task(_last_lines(process.stderr))
    try:
        async with asyncio.timeout(limit):
            output = await _bounded(process.stdout, max_output)
            code = await process.wait()
            return GitOutput(code, output, await tail)
    finally:
        tail.cancel()
        await _end(process)


async def _bounded(stream: asyncio.StreamReader | None, max_output: int) -> bytes:
    if stream is None:
        return b""
    parts: list[bytes] = []
    size = 0
    while part := await stream.read(65_536):
        size += len(part)
        if size > max_output:
            raise GitRepoError(f"git printed more than {max_output} bytes; the repository is larger than it may be")
        parts.append(part)
    return b"".join(parts)


async def _last_lines(stream: asyncio.StreamReader | None) -> str:
    """Drain stderr for good and keep its end: a server may send progress without limit."""
    if stream is None:
        return ""
    lines: deque[str] = deque(maxlen=_STDERR_LINES)
    rest = ""
    while part := await stream.read(65_536):
        *whole, rest = (rest + part.decode(errors="replace").replace("\r", "\n")).split("\n")
        rest = rest[-_STDERR_LINE:]
        lines.extend(line[:_STDERR_LINE] for line in whole)
    lines.append(rest)
    return "\n".join("".join(char if char.isprintable() else " " for char in line) for line in lines if line.strip())


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave no process of the group behind; git gets a moment to remove its lock files."""
    if process.returncode is not None:
        return
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(_TERM_GRACE):
                await process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
