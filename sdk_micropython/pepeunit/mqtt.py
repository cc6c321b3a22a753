"""One connection to the broker, from CONNECT to its end. Source: protocol/device.md 2.1."""

import asyncio

import pepeunit.packets as packets
import pepeunit.transport as transport
from pepeunit.errors import SessionError

RECEIVE_LIMIT = 8192  # bytes of the largest payload that is taken; a larger one is skipped
TIMEOUT = 10  # seconds for the connection and for each answer of the broker
_TOPIC_LIMIT = 1024
_OUT_LIMIT = 16  # packets waiting to be written
_WINDOW = 8  # QoS 1 messages without acknowledgement
_BATCH = 8  # topics in one SUBSCRIBE
_SILENT_PINGS = 2  # pings without any byte from the broker that end the link
CLOSED = "the broker closed the connection"


class Link:
    """The life of one connection. `ended` is set when it is over, `reason` says why; then call close()."""

    def __init__(self, deliver, skipped):
        """deliver(topic bytes, payload bytes) must not wait; skipped(topic, size) tells of a too large message."""
        self._deliver = deliver
        self._skipped = skipped
        self._connection = None
        self._tasks = []
        self._out = []
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._waiting = {}  # packet id -> [Event, answer or None]
        self._published = 0
        self._freed = asyncio.Event()
        self._pid = 0
        self.ended = asyncio.Event()
        self.reason = ""

    async def open(self, host, port, context, client_id, token, keepalive, ping):
        """Connect and start to read; OSError, EOFError, asyncio.TimeoutError or SessionError if that fails."""
        self._connection = await asyncio.wait_for(transport.connect(host, port, context), TIMEOUT)
        await asyncio.wait_for(self._enter(client_id, token, keepalive), TIMEOUT)
        if keepalive:
            ping = min(ping, max(keepalive // 2, 1))
        for job in (self._read(), self._write(), self._ping(max(ping, 1))):
            self._tasks.append(asyncio.create_task(self._guarded(job)))

    async def _enter(self, client_id, token, keepalive):
        await self._connection.write(packets.connect(client_id, token, keepalive))
        answer = memoryview(bytearray(4))
        await self._connection.exactly(answer)
        if answer[0] >> 4 != packets.CONNACK or answer[1] != 2:
            raise SessionError("the broker does not speak MQTT 3.1.1")
        code = answer[3]
        if code:
            why = packets.REFUSALS[code] if code < len(packets.REFUSALS) else str(code)
            raise SessionError("the broker refuses the unit: " + why)

    async def subscribe(self, topics):
        """Subscribe; the topics that the broker denied."""
        denied = []
        for start in range(0, len(topics), _BATCH):
            batch = topics[start : start + _BATCH]
            codes = await self._ask(lambda pid, batch=batch: packets.subscribe(pid, batch))
            if len(codes) != len(batch):
                raise SessionError("the broker answered to other subscriptions")
            denied.extend(topic for topic, code in zip(batch, codes) if code > 2)  # noqa: B905 - no strict on boards
        return denied

    async def unsubscribe(self, topics):
        for start in range(0, len(topics), _BATCH):
            batch = topics[start : start + _BATCH]
            await self._ask(lambda pid, batch=batch: packets.unsubscribe(pid, batch))

    async def publish(self, topic, payload):
        """Publish with QoS 1. True: acknowledged. False: not in time, or the link ended."""
        while self._published >= _WINDOW and not self.ended.is_set():
            self._freed.clear()
            await self._freed.wait()
        self._published += 1
        try:
            return await self._ask(lambda pid: packets.publish(topic, payload, pid)) is not None
        except (SessionError, asyncio.TimeoutError):
            return False
        finally:
            self._published -= 1
            self._freed.set()

    async def _ask(self, build):
        """Send a packet and wait for its answer; SessionError if the link ends, asyncio.TimeoutError if it is late."""
        self._pid = self._pid % 65535 + 1
        while self._pid in self._waiting:
            self._pid = self._pid % 65535 + 1
        pid = self._pid
        entry = self._waiting[pid] = [asyncio.Event(), None]
        try:
            await self._send(build(pid))
            await asyncio.wait_for(entry[0].wait(), TIMEOUT)
        finally:
            del self._waiting[pid]
        if entry[1] is None:
            raise SessionError(self.reason)
        return entry[1]

    async def _send(self, packet):
        while len(self._out) >= _OUT_LIMIT and not self.ended.is_set():
            self._room.clear()
            await self._room.wait()
        if self.ended.is_set():
            raise SessionError(self.reason)
        self._out.append(packet)
        self._wake.set()

    async def _guarded(self, job):
        try:
            await job
        except EOFError:
            self._end(CLOSED)
        except OSError as error:
            self._end("the connection to the broker broke: " + str(error))
        except SessionError as error:
            self._end(str(error))
        except Exception as error:  # task root: whatever it was, this link is over and the next one begins
            self._end("%s: %s" % (type(error).__name__, error))

    def _end(self, reason):
        if not self.ended.is_set():
            self.reason = reason
            self.ended.set()
            self._room.set()
            self._freed.set()
            for entry in self._waiting.values():
                entry[0].set()

    def drop(self, reason):
        """End the link; the one who waits for `ended` closes it."""
        self._end(reason)

    async def close(self, *, polite=False):
        """Release everything; a polite end says so to the broker."""
        if polite and self._tasks and not self.ended.is_set():
            try:
                await asyncio.wait_for(self._drained(), 1)
            except (SessionError, asyncio.TimeoutError):
                pass
        self._end("closed")
        for task in self._tasks:
            task.cancel()
        if self._connection:
            self._connection.close()

    async def _drained(self):
        await self._send(packets.DISCONNECT)
        while self._out and not self.ended.is_set():
            self._room.clear()
            await self._room.wait()

    async def _write(self):
        while True:
            while self._out:
                await self._connection.write(self._out[0])
                self._out.pop(0)
                self._room.set()
            self._wake.clear()
            await self._wake.wait()

    async def _ping(self, seconds):
        silent = 0
        while True:
            self._connection.heard = False
            await self._send(packets.PINGREQ)
            await asyncio.sleep(seconds)
            silent = 0 if self._connection.heard else silent + 1
            if silent >= _SILENT_PINGS:
                raise SessionError("the broker stopped answering")

    async def _read(self):
        small = memoryview(bytearray(64))
        while True:
            head = await self._connection.byte()
            length = await self._length()
            kind = head >> 4
            if kind == packets.PUBLISH:
                await self._read_publish(head, length)
                continue
            if length > len(small):
                raise SessionError("the broker sent a packet that is no MQTT")
            await self._connection.exactly(small[:length])
            if kind in (packets.PUBACK, packets.SUBACK, packets.UNSUBACK) and length >= 2:
                entry = self._waiting.get(small[0] << 8 | small[1])
                if entry:
                    entry[1] = bytes(small[2:length])
                    entry[0].set()

    async def _length(self):
        length = 0
        for shift in (0, 7, 14, 21):
            value = await self._connection.byte()
            length |= (value & 0x7F) << shift
            if value < 0x80:
                return length
        raise SessionError("the broker sent a packet that is no MQTT")

    async def _read_publish(self, head, length):
        size = await self._connection.byte() << 8 | await self._connection.byte()
        qos = head >> 1 & 3
        length -= 2 + size + (2 if qos else 0)
        if length < 0 or size > _TOPIC_LIMIT or qos > 1:
            raise SessionError("the broker sent a packet that is no MQTT")
        topic = bytearray(size)
        await self._connection.exactly(memoryview(topic))
        pid = await self._connection.byte() << 8 | await self._connection.byte() if qos else 0
        if length > RECEIVE_LIMIT:
            piece = memoryview(bytearray(256))
            left = length
            while left:
                await self._connection.exactly(piece[: min(left, len(piece))])
                left -= min(left, len(piece))
            self._skipped(str(topic, "utf-8"), length)
        else:
            payload = bytearray(length)
            await self._connection.exactly(memoryview(payload))
            self._deliver(bytes(topic), bytes(payload))
        if qos:
            await self._send(packets.puback(pid))
