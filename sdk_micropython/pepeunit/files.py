"""Small files that survive a power cut, and the folders around them.

littlefs and POSIX replace a file by rename in one step and show data only after close; FAT does neither, so a board
that must survive power cuts needs littlefs.
"""

import json
import os

_TYPE = 0xF000
_FOLDER = 0x4000


def is_folder(path):
    try:
        return os.stat(path)[0] & _TYPE == _FOLDER
    except OSError:
        return False


def is_file(path):
    try:
        return os.stat(path)[0] & _TYPE != _FOLDER
    except OSError:
        return False


def read(path):
    """The bytes of a file, or None where there is none."""
    if not is_file(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def read_json(path):
    """The value in a file; None where there is no file, ValueError where it is not JSON."""
    data = read(path)
    return None if data is None else json.loads(data)


def write(path, data):
    """Replace a file in one step: all old or all new, never half."""
    new = path + ".new"
    with open(new, "wb") as file:
        file.write(data)
    os.rename(new, path)


def remove(path):
    if is_file(path):
        os.remove(path)


def make_folders(path):
    """Make the folders above a file."""
    for end in range(1, len(path)):
        if path[end] == "/" and not is_folder(path[:end]):
            os.mkdir(path[:end])


def list_files(folder):
    """The files below a folder, relative to it."""
    found = []
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        for entry in os.ilistdir(folder + "/" + inside if inside else folder):
            name = inside + "/" + entry[0] if inside else entry[0]
            if entry[0] in (".", ".."):
                continue
            if entry[1] == _FOLDER:
                waiting.append(name)
            else:
                found.append(name)
    return found


def remove_folder(path):
    """Remove a folder and all that is in it; nothing happens where there is none."""
    if not is_folder(path):
        return
    for entry in list(os.ilistdir(path)):
        if entry[0] in (".", ".."):
            continue
        inside = path + "/" + entry[0]
        if entry[1] == _FOLDER:
            remove_folder(inside)
        else:
            os.remove(inside)
    os.rmdir(path)


def remove_empty_folders(base, name):
    """Remove the folders above base/name that hold nothing any more."""
    while "/" in name:
        name = name.rsplit("/", 1)[0]
        if not is_folder(base + "/" + name):
            return  # rmdir of littlefs removes files as well
        try:
            os.rmdir(base + "/" + name)
        except OSError:
            return
