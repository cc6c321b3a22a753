"""The client of the REST benchmark: a process of its own, so that its work is not counted as the gateway's.

    python -m tests.benchmarks.rest_client

Each line on stdin is a Job as JSON, each line on stdout its Outcome. Without a rate every connection asks again as soon
as it was answered (the highest rate); with one, requests come at random moments of that mean rate, and what a request
waits for a free connection counts as its latency.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

__all__ = ["Job", "Outcome", "percentile"]

_TIMEOUT = 30.0


@dataclass(frozen=True)
class Job:
    """Send `requests` in turn, each a whole HTTP request, from the beginning again once all were sent."""

    port: int
    requests: list[str]
    connections: int
    seconds: float
    rate: float | None = None


@dataclass(frozen=True)
class Outcome:
    """`latencies` in seconds, sorted; `failed` counts answers that are no 2xx, `body` the bytes of the last answer."""

    seconds: float
    latencies: list[float]
    failed: int
    body: int
    first_failure: str


def percentile(ordered: list[float], share: float) -> float:
    """Return the value below which `share` of the sorted values lie."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Connection(asyncio.Protocol):
    """One kept-alive connection with one request at a time; answers have a Content-Length."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = 0
        self._answered: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._buffer += data
        if not self._needed:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            self._needed = end + 4 + length
        if len(self._buffer) >= self._needed and self._answered is not None:
            self._answered.set_result(bytes(self._buffer))
            self._buffer.clear()
            self._needed = 0

    def connection_lost(self, error):
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error or ConnectionResetError("the gateway closed the connection"))

    async def ask(self, request: bytes) -> bytes:
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(_TIMEOUT):
            return await self._answered

    def close(self) -> None:
        self._transport.close()


class _Run:
    """One job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._requests = [request.encode() for request in job.requests]
        self._next = 0
        self._latencies: list[float] = []
        self._failed = 0
        self._first_failure = ""
        self._body = 0
        self._free: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()

    async def __call__(self) -> Outcome:
        loop = asyncio.get_running_loop()
        made = [await loop.create_connection(_Connection, "127.0.0.1", self._job.port) for _ in self._connections()]
        connections = [protocol for _, protocol in made]
        begun = time.perf_counter()
        if self._job.rate is None:
            await asyncio.gather(*(self._press(one, begun + self._job.seconds) for one in connections))
        else:
            await self._arrive(connections, begun, self._job.rate)
        seconds = time.perf_counter() - begun
        for one in connections:
            one.close()
        return Outcome(seconds, sorted(self._latencies), self._failed, self._body, self._first_failure)

    def _connections(self) -> range:
        return range(self._job.connections)

    async def _press(self, connection: _Connection, until: float) -> None:
        while (now := time.perf_counter()) < until:
            await self._ask(connection, now)

    async def _arrive(self, connections: list[_Connection], begun: float, rate: float) -> None:
        for one in connections:
            self._free.put_nowait(one)
        chance = random.Random(4)
        due = begun
        async with asyncio.TaskGroup() as asking:
            while (due := due + chance.expovariate(rate)) < begun + self._job.seconds:
                if (ahead := due - time.perf_counter()) > 0:
                    await asyncio.sleep(ahead)
                asking.create_task(self._ask_free(due))

    async def _ask_free(self, due: float) -> None:
        connection = await self._free.get()
        await self._ask(connection, due)
        self._free.put_nowait(connection)

    async def _ask(self, connection: _Connection, since: float) -> None:
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        answer = await connection.ask(request)
        self._latencies.append(time.perf_counter() - since)
        self._body = len(answer)
        if answer[9:10] != b"2":
            self._failed += 1
            self._first_failure = self._first_failure or answer[:500].decode(errors="replace")


async def _serve() -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        outcome = await _Run(Job(**json.loads(line)))()
        print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
