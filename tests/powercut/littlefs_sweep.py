"""Runs in MicroPython: an update on the real littlefs, the power cut at the k-th program or erase.

    littlefs_sweep.py MODE FOLDER FIRST STEP DEEP

FOLDER holds old/ and new/ (the versions), archive (the packed new version) and digest. MODE is
    update   download, unpack, switch; DEEP > 0: cut the recovery as well, at every DEEP-th of its operations
    env      the replacement of env.json
    space    no cut, but a file system that is fuller each time
The last line printed is a JSON object with what was counted. A mixture, a lost file or a refused resend raises.
"""

import asyncio
import gc
import json
import os
import sys

import pepeunit.env as env
import pepeunit.files as files
import pepeunit.switch as switch
import pepeunit.update as update
import vfs

BLOCK = 512
BLOCKS = 320
BASE = "/u"
OLD = "a" * 40
NEW = "b" * 40


class BrokenError(Exception):
    pass


class Flash:
    """Blocks in memory. Operation number `cut` is done to a half (torn) or not at all, and nothing works after it."""

    def __init__(self, blocks=None):
        self.blocks = blocks or [bytearray(b"\xff" * BLOCK) for _ in range(BLOCKS)]
        self.operations = 0
        self.cut = None
        self.torn = False
        self.dead = False

    def copy(self):
        return Flash([bytearray(block) for block in self.blocks])

    def _operate(self):
        if self.dead:
            raise OSError(5)
        self.operations += 1
        if self.operations == self.cut:
            self.dead = True
        return self.dead

    def readblocks(self, number, buffer, offset=0):
        if self.dead:
            raise OSError(5)
        buffer[:] = memoryview(self.blocks[number])[offset : offset + len(buffer)]

    def writeblocks(self, number, buffer, offset=0):
        dies = self._operate()
        size = len(buffer) // 2 if dies and self.torn else 0 if dies else len(buffer)
        block = self.blocks[number]
        for index in range(size):
            block[offset + index] &= buffer[index]  # flash only clears bits
        if dies:
            raise OSError(5)

    def ioctl(self, request, argument):
        if request == 4:
            return BLOCKS
        if request == 5:
            return BLOCK
        if request == 6:
            if self._operate():
                raise OSError(5)
            self.blocks[argument][:] = b"\xff" * BLOCK
        return 0


class Canned:
    """The gateway's answer, read from memory."""

    def __init__(self, body, header):
        self.body = body
        self.headers = {"repr-digest": header}
        self.length = len(body)

    async def open(self, _path):
        self.at = 0
        return self

    async def readinto(self, view):
        count = min(len(view), len(self.body) - self.at)
        view[:count] = self.body[self.at : self.at + count]
        self.at += count
        return count

    def close(self):
        pass


def mount(flash):
    vfs.mount(vfs.VfsLfs2(flash), BASE)


def unmount():
    vfs.umount(BASE)
    gc.collect()


def load(folder):
    return {name: files.read(folder + "/" + name) for name in files.list_files(folder)}


def put(folder, contents):
    for name in contents:
        files.make_folders(folder + "/" + name)
        with open(folder + "/" + name, "wb") as file:
            file.write(contents[name])


async def whole_update(rest, uuid):
    if await update.stage(rest, BASE, uuid, switch.installed(BASE)["commit"]) is not None:
        switch.recover(BASE)


class Sweep:
    def __init__(self, folder):
        self.old = load(folder + "/old")
        self.new = load(folder + "/new")
        self.rest = Canned(files.read(folder + "/archive"), str(files.read(folder + "/digest"), "utf-8").strip())
        self.uuid = env.token_uuid(json.loads(self.old["env.json"])["PU_AUTH_TOKEN"])
        self.user = {"notes.txt": b"of the user" * 20, "log.json": b'{"level":"Info","text":"x"}\n'}
        self.first = Flash()
        vfs.VfsLfs2.mkfs(self.first)
        mount(self.first)
        put(BASE, self.old)
        put(BASE, self.user)
        switch.record_installed(BASE, OLD, list(self.old))
        unmount()
        self.counts = {"cuts": 0, "old": 0, "new": 0, "deep": 0}

    def act(self):
        asyncio.run(whole_update(self.rest, self.uuid))

    def run(self, flash, action):
        """Run an action until the power goes. True if it came to its end."""
        mount(flash)
        try:
            action()
            return not flash.dead
        except Exception:
            if not flash.dead:
                raise
            return False
        finally:
            unmount()

    def version(self):
        """Which version stands there; raises unless it is complete, alone, and recorded as what it is."""
        record = switch.installed(BASE)
        found = {name: data for name, data in load(BASE).items() if not name.startswith(switch.HOME + "/")}
        found.pop("env.json.prev", None)
        for name in self.user:
            if found.pop(name) != self.user[name]:
                raise BrokenError("lost " + name)
        if found == self.old and record["commit"] == OLD:
            return "old"
        if found == self.new and record["commit"] == NEW and sorted(record["files"]) == sorted(self.new):
            return "new"
        raise BrokenError("a mixture: %s, recorded as %s" % (sorted(found), record["commit"]))

    def check(self, flash):
        """Power on: recover, judge, and see that a resend brings the new version."""
        mount(flash)
        try:
            switch.recover(BASE)
            version = self.version()
            left = sorted(os.listdir(BASE + "/" + switch.HOME))
            if left != ["installed.json"]:
                raise BrokenError("left behind: %s" % left)
            self.act()
            if self.version() != "new":
                raise BrokenError("a resend was refused")
        finally:
            unmount()
        return version

    def cut_update(self, first, step, deep):
        flash = self.first.copy()
        self.run(flash, self.act)
        total = flash.operations
        for cut in range(first, total + 1, step):
            for torn in (False, True):
                flash = self.first.copy()
                flash.cut = cut
                flash.torn = torn
                if self.run(flash, self.act):
                    raise BrokenError("the power was never cut")
                self.counts["cuts"] += 1
                self.counts[self.check(flash.copy())] += 1
                if deep:
                    self.cut_recovery(flash, deep)
        self.counts["operations"] = total

    def cut_recovery(self, flash, step):
        whole = flash.copy()
        self.run(whole, lambda: switch.recover(BASE))
        for cut in range(1, whole.operations + 1, step):
            second = flash.copy()
            second.cut = cut
            self.run(second, lambda: switch.recover(BASE))
            self.counts["deep"] += 1
            self.check(second.copy())

    def cut_env(self, first, step):
        data = json.dumps({"PU_AUTH_TOKEN": "new", "more": "x" * 700}).encode()
        flash = self.first.copy()
        self.run(flash, lambda: env.store(BASE, data))
        total = flash.operations
        for cut in range(first, total + 1, step):
            for torn in (False, True):
                flash = self.first.copy()
                flash.cut = cut
                flash.torn = torn
                self.run(flash, lambda: env.store(BASE, data))
                self.counts["cuts"] += 1
                mount(flash.copy())
                found = files.read(BASE + "/env.json")
                unmount()
                if found not in (self.old["env.json"], data):
                    raise BrokenError("env.json is neither old nor new")
                self.counts["new" if found == data else "old"] += 1
        self.counts["operations"] = total

    def fill(self, first, step):
        mount(self.first)
        free = os.statvfs(BASE)[3]
        unmount()
        for blocks in range(first, free, step):
            flash = self.first.copy()
            mount(flash)
            try:
                with open(BASE + "/notes.txt", "wb") as file:
                    for _ in range(blocks):
                        file.write(b"\0" * BLOCK)
                self.user["notes.txt"] = b"\0" * (BLOCK * blocks)
                try:
                    self.act()
                except Exception:  # full: refused in one way or another
                    switch.recover(BASE)
                self.counts["cuts"] += 1
                self.counts[self.version()] += 1
            except OSError:
                pass  # so full that the user's own file does not fit
            finally:
                unmount()


def main(mode, folder, first, step, deep):
    sweep = Sweep(folder)
    if mode == "update":
        sweep.cut_update(first, step, deep)
    elif mode == "env":
        sweep.cut_env(first, step)
    else:
        sweep.fill(first, step)
    print(json.dumps(sweep.counts))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
