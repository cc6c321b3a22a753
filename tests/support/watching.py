"""Proof that something was left alone: inotify on folders, and what this process itself opens and starts.

with Watch(outside) as watch: ...
assert watch.events() == []

with recorded() as record: ...
record.opened      # paths
record.started     # (arguments, environment)
"""

import ctypes
import os
import struct
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Record", "Watch", "recorded"]

_EVERYTHING = 0x0FFF  # access, attributes, open, close, create, delete, modify, move
_CHANGES = 0x0FC6  # the same without access, open and close
_HEADER = struct.Struct("iIII")
_BUFFER = 65_536
_QUEUE_FULL = 0x4000
_SERVER_THREAD = "process_request_thread"  # the far side: what the test's own git server does is not ours
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Whatever anybody does to a folder that exists, or to anything below, while the `with` lasts."""

    def __init__(self, folder: Path, *, changes_only: bool = False) -> None:
        self._folder = folder
        self._mask = _CHANGES if changes_only else _EVERYTHING
        self._names: dict[int, str] = {}
        self._seen: list[str] = []

    def __enter__(self) -> Self:
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._descriptor >= 0, os.strerror(ctypes.get_errno())
        for folder in (self._folder, *(path for path in self._folder.rglob("*") if path.is_dir())):
            number = _libc.inotify_add_watch(self._descriptor, os.fsencode(folder), self._mask)
            assert number >= 0, os.strerror(ctypes.get_errno())
            self._names[number] = str(folder)
        self._read()  # what walking the folders did
        self._seen.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._read()
        os.close(self._descriptor)

    def events(self) -> list[str]:
        """Return what happened so far, as `<mask> <path>`."""
        self._read()
        return list(self._seen)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._descriptor, _BUFFER)
            except (BlockingIOError, OSError):
                return
            position = 0
            while position < len(data):
                number, mask, _cookie, length = _HEADER.unpack_from(data, position)
                position += _HEADER.size
                name = os.fsdecode(data[position : position + length].rstrip(b"\0"))
                position += length
                assert not mask & _QUEUE_FULL, "more happened than inotify keeps"
                self._seen.append(f"{mask:#x} {self._names[number]}/{name}")


@dataclass
class Record:
    """What this process opened, removed, renamed or made (paths), and what it started (arguments, environment)."""

    touched: set[str] = field(default_factory=set)
    started: list[tuple[list[str], Mapping[str, str]]] = field(default_factory=list)


class _Recorder:
    """The one audit hook of this process; it can never be removed, only be idle."""

    def __init__(self) -> None:
        self.record: Record | None = None
        self._installed = False

    def install(self) -> None:
        if not self._installed:
            sys.addaudithook(self._audited)
            self._installed = True

    def _audited(self, name: str, arguments: tuple[Any, ...]) -> None:
        record = self.record
        if record is None or _SERVER_THREAD in threading.current_thread().name:
            return
        if name == "subprocess.Popen":
            _program, args, _folder, environment = arguments
            record.started.append(([os.fsdecode(one) for one in args], environment))
        elif name in {"os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn"}:
            record.started.append(([name, repr(arguments)], {}))
        elif name == "open" or (name.startswith("os.") and arguments):
            record.touched |= {os.fsdecode(one) for one in arguments[:2] if isinstance(one, str | bytes | os.PathLike)}


_recorder = _Recorder()


@contextmanager
def recorded() -> Iterator[Record]:
    """Record what the threads of this process do, without those of a test's git server."""
    assert _recorder.record is None, "one at a time"
    _recorder.install()
    record = _recorder.record = Record()
    try:
        yield record
    finally:
        _recorder.record = None
