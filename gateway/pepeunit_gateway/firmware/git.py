"""The git command line: one runner with a clean environment and limits on time, memory, files and what it may print.

Nothing of the machine's or the user's configuration reaches git: no system or global config, no hooks, no helpers, no
prompts, no proxies, no submodules; redirects are not followed. Settings travel in the environment (`GIT_CONFIG_*`),
never on the command line, because a credential may be among them (W6).

Limits of the kernel are set before git begins and pass on to whatever it starts, so that a pack which unfolds to more
than memory holds ends git and nobody else. They also end a git whose gateway was killed.
"""

import asyncio
import math
import os
import shutil
import signal
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pepeunit_gateway.errors import GitRepoError

__all__ = ["Ceiling", "GitOutput", "git_environment", "run_git"]

_STDERR_LINES = 40
_STDERR_LINE = 1_000
_TERM_GRACE = 2.0
_MEMORY = 96 * 1024 * 1024
_KIB = 1024
_BLOCK = 512
# A limit that cannot be set is one that is lower already. No core dump: the credential would be in it.
_LIMITED = """
ulimit -c 0 2>/dev/null || :
ulimit -t "$1" 2>/dev/null || :
ulimit -d "$2" 2>/dev/null || :
ulimit -f "$3" 2>/dev/null || :
shift 3
exec "$@"
"""
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
    ("core.bigFileThreshold", "8m"),  # larger files pass through in pieces and are never compared with each other
    ("core.deltaBaseCacheLimit", "16m"),
    ("pack.deltaCacheSize", "16m"),
    ("pack.windowMemory", "32m"),
    ("transfer.credentialsInUrl", "die"),
)


@dataclass(frozen=True, slots=True)
class GitOutput:
    """How git ended; `stdout` is empty when it went to a file, `stderr` holds the last lines without control codes."""

    code: int
    stdout: bytes
    stderr: str

    def relative_to(self, folder: Path) -> "GitOutput":
        """Return the same, told without where `folder` lies: some of `stderr` is shown to strangers."""
        told = self.stderr
        for path in sorted({str(folder), os.path.realpath(folder)}, key=len, reverse=True):
            told = told.replace(f"{path}/", "")
        return replace(self, stderr=told)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What each git process may take, in bytes.

    `memory` is its own data; files that it maps to read them are not counted. `file` is the largest file that it may
    write, None for any.
    """

    memory: int
    file: int | None = None

    @classmethod
    def of_mirror(cls, max_size: int) -> "Ceiling":
        """Return what fetching into and reading a mirror of at most `max_size` bytes may take.

        git itself needs less than 32 MiB (measured with 200,000 objects in a pack of 26 MiB); a file that comes as the
        difference to another one needs both and the difference at once.
        """
        return cls(memory=_MEMORY + 3 * max_size, file=max_size)


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
        "GIT_NO_LAZY_FETCH": "1",  # git 2.44 and newer; a partial clone would run what it names to get what it lacks
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
    ceiling: Ceiling,
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
        ceiling: memory and files of each process; over it git ends with `is_out_of_bounds` in remotes.py.
        git_dir: the repository.
        stdin: what git reads.
        stdout: a file for its output instead of memory.
        max_output: bytes kept in memory; more ends git.
        pass_fds: descriptors that git holds as long as it runs, e.g. of a lock.

    Raises:
        TimeoutError: the limit passed.
        GitRepoError: git is not installed, or it printed more than `max_output`.
    """
    program = shutil.which("git", path=environment["PATH"])
    if program is None:
        raise GitRepoError("git is not installed on the gateway's machine; install it: apt-get install git")
    where = () if git_dir is None else (f"--git-dir={git_dir}",)
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        process = await asyncio.create_subprocess_exec(
            *_launcher(ceiling, limit),
            program,
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
    return await _finish(process, limit, max_output)


def _launcher(ceiling: Ceiling, limit: float) -> tuple[str, ...]:
    """Return the shell that sets the limits and becomes git; processor time is twice the time, for two threads."""
    blocks = "unlimited" if ceiling.file is None else str(math.ceil(ceiling.file / _BLOCK))
    return ("/bin/sh", "-c", _LIMITED, "sh", str(2 * math.ceil(limit)), str(ceiling.memory // _KIB), blocks)


async def _finish(process: asyncio.subprocess.Process, limit: float, max_output: int) -> GitOutput:
    tail = asyncio.create_task(_last_lines(process.stderr))
    try:
        async with asyncio.timeout(limit):
            output = await _bounded(process.stdout, max_output)
            code = await process.wait()
            return GitOutput(code, output, await tail)
    except BaseException:  # a cancellation too: nothing may go on working unseen
        await _end(process)
        raise
    finally:
        tail.cancel()


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
    """Leave no process of the group behind, also where git itself has gone; it gets a moment to remove its locks."""
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
    if process.stdout is not None:  # what nobody read keeps the pipe open
        with suppress(TimeoutError):
            async with asyncio.timeout(_TERM_GRACE):
                while await process.stdout.read(65_536):
                    pass
