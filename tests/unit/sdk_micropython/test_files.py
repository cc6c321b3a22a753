"""files.py in the real MicroPython."""

from tests.support.micropython import run_script


def test_files_and_folders(tmp_path):
    run_script(
        """
import os
import pepeunit.files as files

files.make_folders("a/b/c.txt")
files.write("a/b/c.txt", b"1")
files.write("a/b/c.txt", b"2")
files.write("a/d.txt", b"3")
assert sorted(files.list_files("a")) == ["b/c.txt", "d.txt"]
assert files.read("a/b/c.txt") == b"2" and files.read("a/none") is None and files.read("a/b") is None
assert files.is_folder("a/b") and not files.is_file("a/b")
assert files.is_file("a/d.txt") and not files.is_folder("a/d.txt")
files.remove("a/none")
files.remove("a/b/c.txt")
files.remove_empty_folders(".", "a/b/c.txt")
assert not files.is_folder("a/b") and files.is_folder("a"), "a is not empty"
files.remove_folder("a")
files.remove_folder("a")
assert not files.is_folder("a")
""",
        tmp_path,
    )


def test_removing_empty_folders_never_takes_a_file_although_rmdir_of_littlefs_would(tmp_path):
    run_script(
        """
import os
import pepeunit.files as files
import vfs

class Blocks:
    def __init__(self):
        self.data = bytearray(64 * 512)
    def readblocks(self, number, buffer, offset=0):
        start = number * 512 + offset
        buffer[:] = self.data[start : start + len(buffer)]
    def writeblocks(self, number, buffer, offset=0):
        start = number * 512 + offset
        self.data[start : start + len(buffer)] = buffer
    def ioctl(self, request, argument):
        return {4: 64, 5: 512}.get(request, 0)

blocks = Blocks()
vfs.VfsLfs2.mkfs(blocks)
vfs.mount(vfs.VfsLfs2(blocks), "/u")
files.write("/u/folder", b"a file by now")
files.remove_empty_folders("/u", "folder/inside.py")
assert files.read("/u/folder") == b"a file by now"
""",
        tmp_path,
    )
