"""Where the demo plays: a temporary folder, a gateway of its own on free ports, and the two interpreters."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.demo.processes import Program, UnitProgram, command_line, descendants, is_alive
from tests.support.ports import free_port

__all__ = ["ROOT", "Stage"]

ROOT = Path(__file__).resolve().parents[2]
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
COMMAND_TIMEOUT = 30.0


class Stage:
    """Owns every process and folder of the demo."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.http_port, self.mqtt_port = (free_port(), free_port())
        self.data = folder / "data"
        self.logs = folder / "logs"
        self.logs.mkdir()
        (folder / "home").mkdir()
        self.pepeunit = str(Path(sys.executable).parent / "pepeunit")
        self.gateway = Program(
            "gateway", [self.pepeunit, "gateway", "run"], folder, self._gateway_env(), self.logs / "gateway.log"
        )
        self.units: dict[str, UnitProgram] = {}

    @property
    def root_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def api_url(self) -> str:
        return f"{self.root_url}/pepeunit/api/v1"

    def _clean_env(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        return {**kept, "HOME": str(self.folder / "home"), "PYTHONUNBUFFERED": "1"}

    def _gateway_env(self) -> dict[str, str]:
        return {
            **self._clean_env(),
            "PU_DATA_DIR": str(self.data),
            "PU_HTTP_PORT": str(self.http_port),
            "PU_MQTT_PORT": str(self.mqtt_port),
            "PU_GIT_ALLOW_PRIVATE": "true",  # the demo's git server is on loopback
            "PU_REPO_POLL_INTERVAL": "2",
            "PU_STATE_SEND_INTERVAL": "2",
        }

    async def run_command(self, *arguments: str, typed: str = "") -> str:
        """Run `pepeunit ARGUMENTS` against the demo's data folder and return what it prints.

        Raises:
            RuntimeError: it ended with another exit code than 0; the text holds its output.
        """
        process = await asyncio.create_subprocess_exec(
            self.pepeunit,
            *arguments,
            cwd=self.folder,
            env=self._gateway_env(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                output, _ = await process.communicate(typed.encode())
        finally:
            if process.returncode is None:
                process.kill()
        text = output.decode(errors="replace")
        if process.returncode != 0:
            raise RuntimeError(f"pepeunit {' '.join(arguments)} ended with {process.returncode}: {text[-2000:]}")
        return text

    def add_unit(self, name: str, implementation: str, folder: Path) -> UnitProgram:
        """Make the program of a unit: `implementation` is `cpython` or `micropython`."""
        env = self._clean_env()
        if implementation == "micropython":
            command = [str(ROOT / ".venv-mpy" / "bin" / "micropython"), "main.py"]
            env["MICROPYPATH"] = f".frozen:{ROOT / 'sdk_micropython'}"
        else:
            command = [self.pepeunit, "device", "run", "main.py"]
        self.units[name] = UnitProgram(name, command, folder, env, self.logs / f"{name}.log")
        return self.units[name]

    async def stop_units(self) -> None:
        await asyncio.gather(*(unit.stop() for unit in self.units.values()))

    async def stop_gateway(self) -> None:
        """Interrupt the gateway as Ctrl-C does and check that it takes its broker with it.

        Raises:
            RuntimeError: another exit code than 0, more than 5 s, or a process left behind.
        """
        children = descendants(self.gateway.pid)
        if not any("mosquitto" in command_line(pid) for pid in children):
            raise RuntimeError(f"no mosquitto among the gateway's processes {children}")
        code, took = await self.gateway.stop(signal.SIGINT, grace=10.0)
        if code != 0 or took > 5.0:
            raise RuntimeError(f"the gateway ended with {code} after {took:.1f} s; 0 within 5 s is right")
        if left := [pid for pid in children if is_alive(pid)]:
            raise RuntimeError(f"the gateway left processes behind: {left}")

    async def close(self) -> None:
        """Stop whatever still runs."""
        await self.stop_units()
        await self.gateway.stop(signal.SIGTERM, grace=10.0)

    def tails(self) -> str:
        """The ends of all logs, for a person who wants to know what went wrong."""
        return "\n".join(
            f"--- the end of {program.name}'s log ---\n{program.tail()}"
            for program in (self.gateway, *self.units.values())
        )
