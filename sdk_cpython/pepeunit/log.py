"""The unit's log: a ring of lines in log.json, and what is still to be sent. Source: protocol/device.md 1.5.

Writing never raises and never waits for the network: a full disk or an absent broker must not end a program.
"""

import json
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from .env import Env
from .files import PRIVATE_FILE

__all__ = ["LOG_FILE", "Log", "batches"]

LOG_FILE = "log.json"
_LEVELS = {
    "Debug": logging.DEBUG,
    "Info": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
    "Critical": logging.CRITICAL,
}
_DEFAULT_LENGTH = 64
_MAX_TEXT = 4096
# Below the 256 KB of a broker's packet, with room for the topic.
MAX_BATCH_BYTES = 200 * 1024
_logger = logging.getLogger("pepeunit")


class Log:
    """`debug`, `info`, `warning`, `error`, `critical`: an entry each, in log.json and, when connected, at the gateway.

    Entries below PU_MIN_LOG_LEVEL go nowhere. log.json keeps at most the last PU_MAX_LOG_LENGTH lines; as many wait at
    most to be sent, the oldest give way. The values of the unit's secrets are replaced by `***`. Each entry is also
    printed to stderr as `Level: text`; where the program has set up the standard library's `logging`, it goes to the
    logger `pepeunit` instead, so that nothing is printed twice.
    """

    def __init__(self, directory: Path, env: Callable[[], Env], *, now: Callable[[], datetime] | None = None) -> None:
        self._path = directory / LOG_FILE
        self._env = env
        self._now = now or (lambda: datetime.now(UTC))
        self._lines: deque[str] = deque(_read_lines(self._path), maxlen=self._length())
        self._pending: deque[str] = deque(maxlen=self._length())
        self._written: Callable[[], None] = lambda: None

    def debug(self, text: str) -> None:
        """Log what only a developer wants to know."""
        self._add("Debug", text)

    def info(self, text: str) -> None:
        """Log what happened as planned."""
        self._add("Info", text)

    def warning(self, text: str) -> None:
        """Log what went wrong and will be tried again."""
        self._add("Warning", text)

    def error(self, text: str) -> None:
        """Log what went wrong and needs a person."""
        self._add("Error", text)

    def critical(self, text: str) -> None:
        """Log what ends the program."""
        self._add("Critical", text)

    def lines(self) -> list[str]:
        """Every stored line, oldest first, each one JSON object."""
        return list(self._lines)

    def pending(self) -> list[str]:
        """The lines that were not sent yet, oldest first."""
        return list(self._pending)

    def sent(self, lines: Sequence[str]) -> None:
        """Take lines off the pending ones, as far as newer ones have not pushed them out meanwhile."""
        gone = set(lines)
        self._pending = deque((line for line in self._pending if line not in gone), maxlen=self._length())

    def on_write(self, call: Callable[[], None]) -> None:
        """Have `call` called after each entry."""
        self._written = call

    def _length(self) -> int:
        return max(self._env().number("PU_MAX_LOG_LENGTH", _DEFAULT_LENGTH), 1)

    def _add(self, level: str, text: str) -> None:
        env = self._env()
        least = _LEVELS.get(env.text("PU_MIN_LOG_LEVEL", "Debug").capitalize(), logging.DEBUG)
        if _LEVELS[level] < least:
            return
        text = str(text)
        for secret in env.secrets():
            text = text.replace(secret, "***")
        text = text[:_MAX_TEXT]
        entry: dict[str, Any] = {"level": level, "text": text, "create_datetime": self._now().isoformat()}
        line = json.dumps(entry, ensure_ascii=False)
        self._resize()
        self._store(line)
        self._pending.append(line)
        self._written()
        _show(level, text)

    def _resize(self) -> None:
        if self._lines.maxlen != self._length():
            self._lines = deque(self._lines, maxlen=self._length())
            self._pending = deque(self._pending, maxlen=self._length())

    def _store(self, line: str) -> None:
        length = self._length()
        full = len(self._lines) >= length
        if full:
            # An eighth goes at once, so that the file is not written anew for every entry.
            for _ in range(max(length // 8, 1)):
                self._lines.popleft()
        self._lines.append(line)
        try:
            if full:
                beside = self._path.with_name(self._path.name + ".tmp")
                _write(beside, "w", "".join(f"{kept}\n" for kept in self._lines))
                beside.replace(self._path)
            else:
                _write(self._path, "a", f"{line}\n")
        except OSError as error:
            _show("Warning", f"cannot write {self._path}: {error.strerror}")


def _show(level: str, text: str) -> None:
    if _logger.hasHandlers():
        _logger.log(_LEVELS[level], "%s", text)
    elif sys.stderr is not None:
        with suppress(OSError, ValueError):  # a terminal that is gone must not end the program
            print(f"{level}: {text}", file=sys.stderr, flush=True)  # noqa: T201  # the unit's console


def _write(path: Path, mode: str, text: str) -> None:
    # A log may hold what a program knows; nobody else needs to read it.
    with open(path, mode, encoding="utf-8", errors="replace", opener=_open_private) as file:
        file.write(text)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, PRIVATE_FILE)


def _read_lines(path: Path) -> Iterator[str]:
    """The lines of a log.json, the list of an old client included; what is no entry is left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, dict) and entry.get("level") in _LEVELS and "text" in entry:
                yield json.dumps(entry, ensure_ascii=False)


def batches(lines: Sequence[str], limit: int = MAX_BATCH_BYTES) -> Iterator[tuple[bytes, list[str]]]:
    """The lines as payloads for `log/pepeunit`, each a JSON list of at most `limit` bytes, with the lines it holds."""
    rest = iter(lines)
    held = list(islice(rest, 1))
    size = sum(len(line.encode("utf-8", "replace")) for line in held) + 2
    for line in rest:
        more = len(line.encode("utf-8", "replace")) + 1
        if size + more > limit:
            yield _payload(held), held
            held, size = [], 2
        held.append(line)
        size += more
    if held:
        yield _payload(held), held


def _payload(lines: Sequence[str]) -> bytes:
    return ("[" + ",".join(lines) + "]").encode("utf-8", "replace")
