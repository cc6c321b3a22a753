"""The installed `pepeunit` command as a person runs it, with a login and a working folder of its own."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PROGRAM", "Command", "Done"]

PROGRAM = Path(sys.executable).with_name("pepeunit")
_DEADLINE = 60


@dataclass(frozen=True)
class Done:
    """How a command ended, and all it said."""

    code: int
    out: str
    err: str


class Command:
    """Runs below `folder`: the kept login is in `folder/config`, relative paths start at `folder`."""

    def __init__(self, folder: Path, **env: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.env = {**kept, "XDG_CONFIG_HOME": str(folder / "config"), **env}

    @property
    def login_file(self) -> Path:
        return self.folder / "config" / "pepeunit" / "login.json"

    async def __call__(self, *arguments: str, typed: str = "") -> Done:
        """Run to the end; the loop, and with it a gateway in this process, goes on meanwhile."""
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *arguments,
            cwd=self.folder,
            env=self.env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_DEADLINE):
                out, err = await process.communicate(typed.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Done(process.returncode or 0, out.decode(), err.decode())
