"""The gateway as a person runs it: `pepeunit gateway …` as a process, in a folder of its own."""

import os
import queue
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self

from tests.support.ports import free_port

__all__ = ["GatewayProcess", "children_named", "run_command"]

COMMAND = str(Path(sys.executable).parent / "pepeunit")


def environment(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without PU_* variables but these; the data lies below `folder`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PU_")}
    return {**clean, "PU_DATA_DIR": str(folder / "data"), **variables}


def run_command(folder: Path, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `pepeunit gateway …` to its end, at most a minute, with `folder` as working directory."""
    return subprocess.run(
        [COMMAND, "gateway", *arguments],
        env=environment(folder, variables),
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def children_named(name: str, folder: Path) -> list[int]:
    """Return the pids of processes called `name` whose working directory lies below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            matches = (entry / "comm").read_text().strip() == name
            if matches and (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
        except OSError:  # it has just ended
            continue
    return found


class GatewayProcess:
    """`pepeunit gateway run`; use as `with`. Standard output and error are read all the time."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.http_port = int(variables.pop("PU_HTTP_PORT", free_port()))
        self.mqtt_port = int(variables.pop("PU_MQTT_PORT", free_port()))
        ports = {"PU_HTTP_PORT": str(self.http_port), "PU_MQTT_PORT": str(self.mqtt_port)}
        self.process = subprocess.Popen(
            [COMMAND, "gateway", "run"],
            env=environment(folder, {**ports, **variables}),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.output: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.output, self._lines), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.errors, None), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], kept: list[str], told: "queue.Queue[str | None] | None") -> None:
        for line in stream:
            kept.append(line.rstrip("\n"))
            if told is not None:
                told.put(line)
        if told is not None:
            told.put(None)

    def wait_until_started(self, limit: float = 60) -> str:
        """Return the start block once its last line is printed: on loopback, how to open the gateway to devices."""
        seen = ""
        while "  PU_HTTP_HOST=0.0.0.0" not in seen:
            line = self._lines.get(timeout=limit)
            assert line is not None, "\n".join(self.errors)
            seen += line
        return seen

    def answers(self, path: str) -> int:
        """Return the status of a GET."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def stop(self, number: int = signal.SIGINT, limit: float = 5) -> int:
        """Send a signal to the gateway and return its exit code; longer than `limit` seconds is an error."""
        self.process.send_signal(number)
        code = self.process.wait(limit)
        for reader in self._readers:
            reader.join(limit)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        for reader in self._readers:
            reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
