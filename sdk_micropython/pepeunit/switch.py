"""The switch from the installed version to the next one; it survives a power cut at any instant.

Below the unit's folder:
    .pepeunit/next/...        the complete, verified next version
    .pepeunit/switch.json     {"files": [...], "stale": [...]}; its appearance (one rename) is the commit point
    .pepeunit/installed.new   becomes installed.json by the last rename
    .pepeunit/installed.json  {"commit": ..., "files": [...]}

Before the journal exists the old version is untouched. Once it exists every start rolls forward, and rolling may be cut
and begun again as often as you like. Nothing here needs the network; boot.py calls recover() before anything else.
"""

import json
import os

import pepeunit.files as files

HOME = ".pepeunit"
# What a cut leaves of a file that was about to take its place.
_TORN = ("env.json.new", "env.json.prev.new", "schema.json.new", "schema.json.prev.new", "log.json.new")
_LEFT = ("switch.json", "switch.json.new", "installed.new", "installed.new.new", "installed.json.new", "download")
_LAST = ("main.py", "schema.json", "env.json")


def base_of(directory):
    """The unit's folder without a slash at its end; "" is the root of a board."""
    if directory is None:
        directory = os.getcwd()
    return directory.rstrip("/") if directory else "."


def installed(base):
    """The record of what is installed: {"commit", "files"}, or None before the first start."""
    try:
        record = files.read_json(base + "/" + HOME + "/installed.json")
    except ValueError:
        record = {}
    if record is None:
        return None
    if not isinstance(record, dict):
        record = {}
    commit = record.get("commit")
    names = record.get("files")
    return {
        "commit": commit if isinstance(commit, str) else "",
        "files": names if isinstance(names, list) else [],
    }


def record_installed(base, commit, names):
    home = base + "/" + HOME
    if not files.is_folder(home):
        os.mkdir(home)
    files.write(home + "/installed.json", json.dumps({"commit": commit, "files": names}).encode())


def stale_files(old, new):
    """What the installed version brought and the next one does not; never what belongs to the unit or its user."""
    kept = set(new)
    kept.update(("env.json", "schema.json", "log.json"))
    return [name for name in old if name not in kept]


def conflict(base, names, stale):
    """The first existing path, not ours to delete, that stands where a file or folder of the next version must go."""
    stale = set(stale)
    for name in names:
        parts = name.split("/")
        for count in range(1, len(parts)):
            above = "/".join(parts[:count])
            if files.is_file(base + "/" + above) and above not in stale:
                return above
        if files.is_folder(base + "/" + name):
            for inside in files.list_files(base + "/" + name):
                if name + "/" + inside not in stale:
                    return name + "/" + inside
    return None


def begin(base, commit, names):
    """Write the journal for the version that lies complete in next/. The caller has checked conflict()."""
    home = base + "/" + HOME
    old = installed(base)
    stale = stale_files(old["files"], names) if old else []
    order = [name for name in names if name not in _LAST]
    order.extend(name for name in _LAST if name in names)
    files.write(home + "/installed.new", json.dumps({"commit": commit, "files": order}).encode())
    files.write(home + "/switch.json", json.dumps({"files": order, "stale": stale}).encode())


def recover(directory=None):
    """Finish a switch that was cut. True: files changed, start the program anew. False: there was nothing to finish."""
    base = base_of(directory)
    home = base + "/" + HOME
    if not files.is_folder(home):
        return False
    try:
        journal = files.read_json(home + "/switch.json")
    except ValueError:
        journal = None
    if not isinstance(journal, dict) or not isinstance(journal.get("files"), list):
        _clean(base)  # none, or a broken one, which cannot come about where rename is one step
        return False
    _settle(home)
    stale = journal.get("stale", [])
    for name in journal["files"]:
        _move(base, name, stale)
    for name in stale:
        files.remove(base + "/" + name)
        files.remove_empty_folders(base, name)
    if files.is_file(home + "/installed.new"):
        os.rename(home + "/installed.new", home + "/installed.json")
    os.remove(home + "/switch.json")
    _clean(base)
    return True


def _settle(home):
    """After a cut within a rename from folder to folder littlefs also hides the file that follows the renamed one,
    until something is about to be written; removing what is not there does that and needs no space."""
    try:
        os.remove(home + "/nothing")
    except OSError:
        pass


def _clean(base):
    for name in _TORN:
        files.remove(base + "/" + name)
    home = base + "/" + HOME
    for name in _LEFT:
        files.remove(home + "/" + name)
    files.remove_folder(home + "/next")


def _move(base, name, stale):
    source = base + "/" + HOME + "/next/" + name
    if not files.is_file(source):
        return  # moved before the cut
    target = base + "/" + name
    for old in stale:  # a file becomes a folder, or a folder a file
        if name.startswith(old + "/") or old.startswith(name + "/"):
            files.remove(base + "/" + old)
            files.remove_empty_folders(base, old)
    if files.is_folder(target):
        os.rmdir(target)
    files.make_folders(target)
    os.rename(source, target)
