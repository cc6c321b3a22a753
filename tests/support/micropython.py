"""The real MicroPython as a child process, and a folder that a unit lives in."""

import asyncio
import base64
import contextlib
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = [
    "COMMIT",
    "DOMAIN",
    "INTERPRETER",
    "NODES",
    "ROOT",
    "UUID",
    "Program",
    "env",
    "environment",
    "run_script",
    "schema",
    "token",
]

ROOT = Path(__file__).resolve().parents[2]
INTERPRETER = ROOT / ".venv-mpy" / "bin" / "micropython"
SDK = ROOT / "sdk_micropython"

UUID = "8d3c1c1e-5ad6-4f9d-9e27-3c0f6f0c6a01"
DOMAIN = "unit.example"
COMMIT = "a" * 40
NODES = {
    "fan/pepeunit": "11111111-1111-4111-8111-111111111111",
    "light/pepeunit": "22222222-2222-4222-8222-222222222222",
    "temp/pepeunit": "33333333-3333-4333-8333-333333333333",
    "linked": "44444444-4444-4444-8444-444444444444",
}
DEADLINE = 20.0


def token(uuid: str = UUID) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part({'uuid': uuid, 'type': 'Unit'})}.c2lnbmF0dXJl"


def env(http_port: int = 1, mqtt_port: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "PU_DOMAIN": f"127.0.0.1:{http_port}",
        "PU_HTTP_TYPE": "http",
        "PU_APP_PREFIX": "/pepeunit",
        "PU_API_ACTUAL_PREFIX": "/api/v1",
        "PU_MQTT_HOST": "127.0.0.1",
        "PU_MQTT_PORT": mqtt_port,
        "PU_MQTT_PING_INTERVAL": 20,
        "PU_MQTT_KEEPALIVE": 60,
        "PU_AUTH_TOKEN": token(),
        "PU_SECRET_KEY": "c2VjcmV0",
        "PU_ENCRYPT_KEY": base64.b64encode(bytes(range(32))).decode(),
        "PU_STATE_SEND_INTERVAL": 60,
        "PU_MIN_LOG_LEVEL": "Debug",
        "PU_MAX_LOG_LENGTH": 64,
        "PU_COMMIT_VERSION": COMMIT,
        **changes,
    }


def schema(**changes: Any) -> dict[str, Any]:
    def base(destination: str, *names: str) -> dict[str, list[str]]:
        return {f"{name}/pepeunit": [f"{DOMAIN}/{destination}/{UUID}/{name}/pepeunit"] for name in names}

    def node(name: str) -> str:
        return f"{DOMAIN}/{NODES[name]}/pepeunit"

    return {
        "input_base_topic": base("input_base_topic", "update", "env_update", "schema_update", "log_sync"),
        "output_base_topic": base("output_base_topic", "state", "log"),
        "input_topic": {
            "fan/pepeunit": [node("fan/pepeunit"), f"{DOMAIN}/{NODES['linked']}"],
            "light/pepeunit": [node("light/pepeunit")],
        },
        "output_topic": {"temp/pepeunit": [node("temp/pepeunit")]},
        **changes,
    }


def environment() -> dict[str, str]:
    return {**os.environ, "MICROPYPATH": f"{SDK}:.frozen"}


def run_script(source: str, directory: Path, *arguments: str, heap: str = "256k", code: int = 0) -> str:
    """Run a script to its end; what it printed. An assertion that fails in it fails the test."""
    path = directory / "script_of_the_test.py"
    path.write_text(source)
    done = subprocess.run(
        [INTERPRETER, "-X", f"heapsize={heap}", path, *arguments],
        cwd=directory, env=environment(), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Program:
    """A unit program (main.py) in a folder of its own."""

    directory: Path
    heap: str = "256k"
    output: list[str] = field(default_factory=list)
    _process: asyncio.subprocess.Process | None = None

    def write(self, main: str, env: dict[str, Any], schema: dict[str, Any]) -> None:
        self.directory.mkdir(exist_ok=True)
        (self.directory / "main.py").write_text(main)
        (self.directory / "env.json").write_text(json.dumps(env))
        (self.directory / "schema.json").write_text(json.dumps(schema))

    async def __aenter__(self) -> Self:
        self._changed = asyncio.Condition()
        await self.start()
        return self

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            INTERPRETER, "-X", f"heapsize={self.heap}", "main.py",
            cwd=self.directory, env=environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._changed:
                self.output.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()

    async def prints(self, text: str, times: int = 1) -> None:
        """Wait until the program has printed `text` in so many lines."""
        try:
            async with asyncio.timeout(DEADLINE), self._changed:
                await self._changed.wait_for(lambda: sum(text in line for line in self.output) >= times)
        except TimeoutError:
            raise AssertionError(f"{text!r} was not printed {times} times:\n" + "\n".join(self.output)) from None

    async def exit_code(self) -> int:
        assert self._process is not None
        async with asyncio.timeout(DEADLINE):
            code = await self._process.wait()
            await self._reader
        return code

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def installed(self) -> dict[str, Any]:
        return json.loads((self.directory / ".pepeunit" / "installed.json").read_text())

    def read(self, name: str) -> bytes:
        return (self.directory / name).read_bytes()
