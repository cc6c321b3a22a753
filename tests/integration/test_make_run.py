"""`make run` as a person uses it: the block, Ctrl-C at the terminal, and a second start on the same data."""

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.demo.processes import command_line, descendants, is_alive
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
STOP_LIMIT = 5.0
START_LIMIT = 60.0


@dataclass
class Run:
    """One `make run`, in a process group of its own as a terminal would give it."""

    folder: Path
    http_port: int
    mqtt_port: int
    process: subprocess.Popen[bytes]

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def call(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.output
        try:
            return self.call("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def interrupt(self) -> float:
        """Ctrl-C: SIGINT to the whole foreground group. Returns the seconds until everything is gone."""
        begun = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(timeout=30)
        return time.monotonic() - begun


def wait_for(seen: Callable[[], bool], limit: float) -> None:
    end = time.monotonic() + limit
    while not seen():
        assert time.monotonic() < end, "the event did not come"
        time.sleep(0.02)


@contextmanager
def make_run(folder: Path, http_port: int, mqtt_port: int) -> Iterator[Run]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PU_", "MAKE", "MFLAGS"))}
    env |= {"PU_DATA_DIR": str(folder / "data"), "PU_HTTP_PORT": str(http_port), "PU_MQTT_PORT": str(mqtt_port)}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            ["make", "run"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Run(folder, http_port, mqtt_port, process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)


def create_admin(folder: Path) -> None:
    subprocess.run(
        [ROOT / ".venv/bin/pepeunit", "gateway", "user", "create-admin", "--login", "run-admin", "--password-stdin"],
        env={"PATH": os.environ["PATH"], "PU_DATA_DIR": str(folder / "data")},
        cwd=folder,
        input=b"Run-password-1\n",
        check=True,
        capture_output=True,
        timeout=60,
    )


@pytest.mark.timeout(200)
def test_make_run_starts_tells_the_way_stops_and_finds_its_data_again(tmp_path: Path) -> None:
    ports = (free_port(), free_port())
    for turn in ("first", "second"):
        with make_run(tmp_path, *ports) as run:
            wait_for(run.is_ready, START_LIMIT)
            wait_for(lambda run=run: f"http://127.0.0.1:{ports[0]}/pepeunit/docs" in run.output, 5)
            assert f"http://127.0.0.1:{ports[0]}/pepeunit/api/v1" in run.output
            assert f"127.0.0.1:{ports[1]}" in run.output
            assert str(tmp_path / "data") in run.output
            if turn == "first":
                assert "pepeunit gateway user create-admin" in run.output
                create_admin(tmp_path)
            status, body = run.call(
                "POST", "/pepeunit/api/v1/users/auth", {"credentials": "run-admin", "password": "Run-password-1"}
            )
            assert (status, "token" in json.loads(body)) == (200, True)
            children = descendants(run.process.pid)
            assert any("mosquitto" in command_line(pid) for pid in children)
            assert run.interrupt() < STOP_LIMIT, run.output
            assert [pid for pid in children if is_alive(pid)] == []
