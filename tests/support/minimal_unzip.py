"""A reader of zip that knows the least that works, on both interpreters: FILE."""

# MicroPython has neither pathlib nor contextlib:
# ruff: noqa: PTH102, PTH123, SIM115

import os
import struct
import sys

from small_window import inflated


def end_record(file):
    file.seek(-22, 2)  # there is no comment
    record = struct.unpack("<4sHHHHIIH", file.read(22))
    if record[0] != b"PK\x05\x06":
        raise ValueError("no end of a zip")
    return record[4], record[6]


def entries(file):
    count, at = end_record(file)
    for _ in range(count):
        file.seek(at)
        record = struct.unpack("<4sHHHHHHIIIHHHHHII", file.read(46))
        name, more = record[10], record[11] + record[12]
        if record[0] != b"PK\x01\x02" or record[8] == 0xFFFFFFFF:
            raise ValueError("no entry that minimal code knows")
        yield file.read(name).decode(), record[4], record[9], record[16]
        at += 46 + name + more


def extract(file, method, size, at, out):
    file.seek(at)
    head = struct.unpack("<4sHHHHHIIIHH", file.read(30))
    file.seek(at + 30 + head[9] + head[10])
    stream = inflated(file, -15) if method else file
    piece = bytearray(512)
    while size > 0:
        count = stream.readinto(memoryview(piece)[: min(size, 512)])
        if not count:
            raise ValueError("the archive is cut")
        out.write(memoryview(piece)[:count])
        size -= count


def unzip(file):
    for path, method, size, at in entries(file):
        if path.endswith("/"):
            os.mkdir(path.rstrip("/"))
            continue
        with open(path, "wb") as out:
            extract(file, method, size, at, out)


unzip(open(sys.argv[1], "rb"))
