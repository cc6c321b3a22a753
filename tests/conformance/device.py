"""A unit program as its owner runs it: in a folder of its own, started again whenever it ends with 75."""

import asyncio
import contextlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

from tests.support.gateway import Api
from tests.support.micropython import INTERPRETER, environment
from tests.support.unit_folder import live_paths

__all__ = ["SDKS", "Device"]

RESTART_EXIT_CODE = 75
DEADLINE = 20.0
MAX_RESTARTS = 5


def _environment(sdk: str) -> dict[str, str]:
    known = environment() if sdk == "micropython" else dict(os.environ)
    return {name: value for name, value in known.items() if not name.startswith("PU_")}


# The same source for both: only the interpreter differs.
SDKS = {
    "cpython": [sys.executable, "main.py"],
    "micropython": [str(INTERPRETER), "-X", "heapsize=256k", "main.py"],
}


class Device:
    """A unit's folder and its process. `codes` holds the exit codes so far; `api` calls REST with its token."""

    def __init__(self, sdk: str, folder: Path, api: Api, nodes: dict[str, dict[str, Any]]) -> None:
        self.sdk, self.folder, self.api, self.nodes = sdk, folder, api, nodes
        self.codes: list[int] = []
        self.console = folder.with_suffix(".out")
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[int] | None = None

    @property
    def uuid(self) -> str:
        return self.api.uuid

    async def flash(self) -> None:
        """Unpack the archive that the gateway serves, as one copies it to a new board."""
        reply = await self.api.get(f"/units/firmware/tar/{self.uuid}")
        assert reply.status == 200, reply.body
        with tarfile.open(fileobj=io.BytesIO(reply.body)) as archive:
            archive.extractall(self.folder, filter="data")

    async def start(self) -> None:
        """Power on."""
        await self._launch()
        self._keeper = asyncio.create_task(self._keep())

    async def _launch(self) -> None:
        with self.console.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *SDKS[self.sdk], cwd=self.folder, env=_environment(self.sdk), stdout=output, stderr=output
            )

    async def _keep(self) -> int:
        while True:
            assert self._process is not None
            self.codes.append(await self._process.wait())
            if self.codes[-1] != RESTART_EXIT_CODE or len(self.codes) > MAX_RESTARTS:
                return self.codes[-1]
            await self._launch()

    async def exit_code(self) -> int:
        """Wait until the program has ended for good."""
        assert self._keeper is not None
        async with asyncio.timeout(DEADLINE):
            return await asyncio.shield(self._keeper)

    @property
    def has_ended(self) -> bool:
        """True if it ended with another exit code than 75, or restarts for ever."""
        return self._keeper is not None and self._keeper.done()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def power_off(self) -> None:
        """End the process at once, whatever it is doing."""
        if self._keeper is None or self._process is None:
            return
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._keeper = None

    def json(self, name: str) -> Any:
        """The value of a JSON file in its folder."""
        return json.loads((self.folder / name).read_bytes())

    def files(self) -> set[str]:
        """Every file in its folder that is neither the SDK's own nor bytecode nor a log."""
        return live_paths(self.folder)
