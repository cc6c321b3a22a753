"""What devices in the field do with an archive, as little as possible, on both interpreters: FILE KIND WBITS."""

# MicroPython has neither pathlib nor contextlib:
# ruff: noqa: PTH102, PTH123, SIM105, SIM115

import os
import sys

from small_window import inflated


def read_exactly(stream, buffer, size):
    view = memoryview(buffer)
    got = 0
    while got < size:
        count = stream.readinto(view[got:size])
        if not count:
            raise ValueError("the archive is cut")
        got += count


def text(block, start, end):
    return bytes(block[start:end]).split(b"\0")[0].decode()


def make_folder(path):
    try:
        os.mkdir(path)
    except OSError:
        pass


def untar(stream):
    block = bytearray(512)
    while True:
        read_exactly(stream, block, 512)
        if not any(block):
            return
        name, prefix = text(block, 0, 100), text(block, 345, 500)
        path = (prefix + "/" + name) if prefix else name
        size = int(text(block, 124, 136), 8)
        if block[156] == ord("5"):
            make_folder(path.rstrip("/"))
            continue
        if block[156] != ord("0"):
            raise ValueError("a record that minimal code does not know")
        with open(path, "wb") as out:
            while size > 0:
                read_exactly(stream, block, 512)
                out.write(memoryview(block)[: min(size, 512)])
                size -= 512


file = open(sys.argv[1], "rb")
untar(file if sys.argv[2] == "tar" else inflated(file, int(sys.argv[3])))
