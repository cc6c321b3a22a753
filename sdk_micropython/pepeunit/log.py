"""unit.log: a ring of lines in log.json, and their way to the gateway. Source: protocol/device.md 1.5."""

import asyncio
import json
import os

import pepeunit.clock as clock

LEVELS = ("Debug", "Info", "Warning", "Error", "Critical")
_SECRETS = ("PU_AUTH_TOKEN", "PU_SECRET_KEY", "PU_ENCRYPT_KEY")
_TEXT_LIMIT = 1024
_PENDING_LIMIT = 32  # lines kept in memory for the gateway while it is out of reach
_BATCH_BYTES = 2048  # of one message with log lines; the protocol's limit is 256 KB


class Log:
    def __init__(self, base, env):
        """env is a function that gives the Env in force."""
        self._path = base + "/log.json"
        self._env = env
        self._lines = None  # how many stand in the file; counted when the first one is added
        self._pending = []
        self._syncing = False  # the file may grow, but not change, while it is read
        self._turn = asyncio.Lock()  # flush and sync one after the other, so that no line goes twice
        self.news = asyncio.Event()

    def debug(self, text):
        self._add(0, text)

    def info(self, text):
        self._add(1, text)

    def warning(self, text):
        self._add(2, text)

    def error(self, text):
        self._add(3, text)

    def critical(self, text):
        self._add(4, text)

    def _add(self, level, text):
        env = self._env()
        lowest = env.text("PU_MIN_LOG_LEVEL", "Debug").lower()
        for index, name in enumerate(LEVELS):
            if name.lower() == lowest and level < index:
                return
        text = str(text)
        for key in _SECRETS:
            if env.text(key):
                text = text.replace(env.text(key), "***")
        text = text[:_TEXT_LIMIT]
        print(LEVELS[level] + ": " + text)  # noqa: T201 - the console of a board
        entry = {"level": LEVELS[level], "text": text}
        moment = clock.unix_ms()
        if moment is not None:  # without a clock the gateway takes the time of arrival
            entry["create_datetime"] = moment
        line = json.dumps(entry)
        try:
            self._store(line)
        except OSError:
            pass  # a full or broken flash must not stop the program; the line still goes to the gateway
        self._pending.append(line)
        if len(self._pending) > _PENDING_LIMIT:
            self._pending.pop(0)
        self.news.set()

    def _store(self, line):
        limit = max(self._env().number("PU_MAX_LOG_LENGTH", 64), 1)
        if self._lines is None:
            self._lines = sum(1 for _ in self.stored())
        if self._lines >= limit and not self._syncing:
            self._shorten(limit * 3 // 4 if limit > 3 else limit - 1)
        with open(self._path, "ab") as file:
            file.write(line.encode() + b"\n")
        self._lines += 1

    def _shorten(self, keep):
        """Keep the newest lines. A quarter goes at once, so that a full ring is not copied with every line."""
        skip = self._lines - keep
        new = self._path + ".new"
        with open(new, "wb") as file:
            for line in self.stored():
                if skip > 0:
                    skip -= 1
                else:
                    file.write(line + b"\n")
        os.rename(new, self._path)
        self._lines = keep

    def stored(self):
        """The lines of log.json as bytes, oldest first; a line that a power cut left in half is passed over."""
        try:
            file = open(self._path, "rb")  # noqa: SIM115 - closed below; a generator may be left early
        except OSError:
            return
        try:
            while True:
                line = file.readline()
                if not line:
                    return
                line = line.strip()
                if line[:1] == b"{" and line[-1:] == b"}":
                    yield line
        finally:
            file.close()

    async def flush(self, publish):
        """Send what is pending; publish(payload) tells whether the broker took it."""
        async with self._turn:
            while self._pending:
                count = _fitting(self._pending)
                batch = self._pending[:count]
                if not await publish(("[" + ",".join(batch) + "]").encode()):
                    return False
                # more may have come, or the oldest may have been pushed out, while we waited
                self._pending = [line for line in self._pending if not any(line is sent for sent in batch)]
            return True

    async def sync(self, publish):
        """Send every stored line, in pieces; False if the broker did not take them all."""
        async with self._turn:
            self._syncing = True
            try:
                batch = []
                size = 0
                for line in self.stored():
                    if batch and size + len(line) > _BATCH_BYTES:
                        if not await self._send_stored(publish, batch):
                            return False
                        batch = []
                        size = 0
                    batch.append(line)
                    size += len(line) + 1
                return not batch or await self._send_stored(publish, batch)
            finally:
                self._syncing = False

    async def _send_stored(self, publish, batch):
        if not await publish(b"[" + b",".join(batch) + b"]"):
            return False
        self._pending = [line for line in self._pending if line.encode() not in batch]
        return True


def _fitting(lines):
    size = 0
    for count, line in enumerate(lines):
        size += len(line) + 1
        if count and size > _BATCH_BYTES:
            return count
    return len(lines)
