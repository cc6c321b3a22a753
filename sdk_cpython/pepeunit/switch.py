"""Putting a staged version in the place of the running one, so that a cut at any instant leaves the old or the new.

The staged version lies complete in `.pepeunit/next/`. A journal, `.pepeunit/switch.json`, appears by one rename and is
the point of no return: before it the old version is intact, after it `recover` completes the new one, however often it
is itself cut. `plan_switch` only decides, `carry_out` only does. Source: ota.md G1-G3, pitfalls S2, S3.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from .env import ENV_FILE
from .errors import SwitchError
from .files import BESIDE, PRIVATE_FILE, Disk, remove_tree, replace_file
from .installed import INSTALLED_FILE, PRIVATE_FOLDER, Installed, write_installed
from .schema import SCHEMA_FILE

__all__ = [
    "DOWNLOAD_FILE",
    "JOURNAL_FILE",
    "NEXT_FOLDER",
    "PREVIOUS_ENV_FILE",
    "PREVIOUS_SCHEMA_FILE",
    "Kind",
    "Switch",
    "begin_switch",
    "carry_out",
    "discard_staged",
    "plan_switch",
    "read_journal",
    "survey",
]

NEXT_FOLDER = f"{PRIVATE_FOLDER}/next"
JOURNAL_FILE = f"{PRIVATE_FOLDER}/switch.json"
_NEXT_INSTALLED_FILE = f"{INSTALLED_FILE}.next"
DOWNLOAD_FILE = f"{PRIVATE_FOLDER}/download"
PREVIOUS_ENV_FILE = "env.json.prev"
PREVIOUS_SCHEMA_FILE = "schema.json.prev"
# Never deleted, never installed from an archive.
_OWN_FILES = frozenset({"log.json", PREVIOUS_ENV_FILE, PREVIOUS_SCHEMA_FILE})
_LAST_FILES = (SCHEMA_FILE, ENV_FILE)


class Kind(Enum):
    """What stands at a path of the unit's directory."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


@dataclass(frozen=True)
class Switch:
    """What carrying out means: `deletes`, then `moves` in their order out of `.pepeunit/next/`, then `installed`."""

    commit: str
    deletes: tuple[str, ...]
    moves: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def installed(self) -> Installed:
        return Installed(self.commit, self.files)


def plan_switch(commit: str, staged: Iterable[str], before: Installed, live: Mapping[str, Kind]) -> Switch:
    """Decide what a switch to `commit` does.

    `staged` are the files of the new version, `before` what is installed, `live` what stands in the unit's directory at
    the paths that matter (see `survey`). Files the old version brought and the new one lacks are deleted; env.json,
    schema.json, log.json and whatever the program wrote by itself are not. Raises SwitchError if something that is not
    ours stands in the way.
    """
    names = sorted(set(staged))
    if foreign := [name for name in names if name.split("/")[0] == PRIVATE_FOLDER]:
        raise SwitchError(f"the new version holds {foreign[0]}: take {PRIVATE_FOLDER} out of the repository")
    files = [name for name in names if name not in _OWN_FILES and name not in _LAST_FILES]
    stale = set(before.files) - set(files) - _OWN_FILES - set(_LAST_FILES)
    stale = {name for name in stale if name.split("/")[0] != PRIVATE_FOLDER}
    deletes = stale | {path for path in live if _is_bytecode_of(path, {*files, *stale})}
    for name in files:
        _check_place(name, live, deletes)
    last = [name for name in _LAST_FILES if name in names]
    return Switch(
        commit=commit,
        deletes=tuple(sorted(deletes)),
        moves=(*sorted(files, key=lambda name: (name == "main.py", name)), *last),
        files=tuple(files),
    )


def _is_bytecode_of(path: str, sources: set[str]) -> bool:
    """Bytecode is found by its source's time and size; within one second a new source may have both of the old."""
    folder, _, name = path.rpartition("/")
    above, _, cache = folder.rpartition("/")
    if cache != "__pycache__" or not name.endswith(".pyc"):
        return False
    source = name.split(".", 1)[0] + ".py"
    return (f"{above}/{source}" if above else source) in sources


def _check_place(name: str, live: Mapping[str, Kind], deletes: set[str]) -> None:
    """A new file may take the place of a file or of nothing, below real directories."""
    parts = name.split("/")
    for depth in range(1, len(parts)):
        above = "/".join(parts[:depth])
        kind = live.get(above)
        if kind is Kind.LINK or (kind is Kind.FILE and above not in deletes):
            raise SwitchError(f"{above} is in the way of {name} of the new version: move it away")
    if live.get(name) is Kind.DIRECTORY:
        kept = [
            path
            for path, kind in live.items()
            if path.startswith(f"{name}/") and kind is not Kind.DIRECTORY and path not in deletes
        ]
        if kept:
            raise SwitchError(f"{kept[0]} is in the way of {name} of the new version: move it away")


def survey(directory: Path, names: Iterable[str]) -> dict[str, Kind]:
    """What stands at `names`, above them, below them if they are directories, and as bytecode beside them.

    The answer maps posix paths to kinds; what is absent is not in it. Links are named, never followed.
    """
    found: dict[str, Kind] = {}
    for name in names:
        parts = name.split("/")
        paths = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        for path in paths:
            kind = found.get(path) or _kind(directory / path)
            if kind is None:
                break
            found[path] = kind
            if kind is not Kind.DIRECTORY:
                break
        else:
            found |= {path.relative_to(directory).as_posix(): kind for path, kind in _below(directory / name)}
        if name.endswith(".py"):
            cache = (directory / name).parent / "__pycache__"
            stem = name.removesuffix(".py").rpartition("/")[2]
            found |= {path.relative_to(directory).as_posix(): Kind.FILE for path in cache.glob(f"{stem}.*.pyc")}
    return found


def _kind(path: Path) -> Kind | None:
    if path.is_symlink():
        return Kind.LINK
    if path.is_dir():
        return Kind.DIRECTORY
    return Kind.FILE if path.exists() else None


def _below(directory: Path) -> Iterator[tuple[Path, Kind]]:
    for folder, names, files in os.walk(directory, followlinks=False):
        for name in names + files:
            path = Path(folder, name)
            if (kind := _kind(path)) is not None:
                yield path, kind


def begin_switch(disk: Disk, directory: Path, switch: Switch) -> None:
    """The point of no return. The staged files must be on the disk before.

    All that is to be written is written here, so that a full disk cannot stop what comes after the journal.
    """
    if (directory / ENV_FILE).exists():
        data = (directory / ENV_FILE).read_bytes()
        replace_file(disk, directory / PREVIOUS_ENV_FILE, data, mode=PRIVATE_FILE)
    write_installed(disk, directory, switch.installed, _NEXT_INSTALLED_FILE)
    journal = json.dumps(asdict(switch), indent=1).encode()
    replace_file(disk, directory / JOURNAL_FILE, journal, mode=PRIVATE_FILE)


def read_journal(directory: Path) -> Switch | None:
    """The switch that was begun and not completed, if any. Raises SwitchError if somebody damaged the journal."""
    path = directory / JOURNAL_FILE
    try:
        values = json.loads(path.read_bytes())
        return Switch(
            commit=str(values["commit"]),
            deletes=tuple(values["deletes"]),
            moves=tuple(values["moves"]),
            files=tuple(values["files"]),
        )
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        raise SwitchError(
            f"{path} cannot be read: download the unit's archive and unpack it here, then remove {path}"
        ) from None


def carry_out(disk: Disk, directory: Path, switch: Switch) -> None:
    """Do what the journal says, by renames and removals only.

    Every step may already be done: a file that is no longer staged has been moved, and a directory that stands where a
    file is to be deleted is the new version's.
    """
    staged = directory / NEXT_FOLDER
    for name in switch.deletes:
        if _kind(directory / name) in {Kind.FILE, Kind.LINK}:
            disk.remove(directory / name)
    _remove_empty(disk, directory, switch.deletes)
    folders = {directory, *((directory / name).parent for name in switch.deletes)}
    for name in switch.moves:
        if not (staged / name).exists():
            continue
        folders |= _make_parents(disk, directory, name)
        if (directory / name).is_dir():
            # Only empty directories can be left here: plan_switch saw to it.
            remove_tree(disk, directory / name)
        disk.rename(staged / name, directory / name)
    for folder in sorted(path for path in folders if path.is_dir()):
        disk.sync_directory(folder)
    if (directory / _NEXT_INSTALLED_FILE).exists():
        disk.rename(directory / _NEXT_INSTALLED_FILE, directory / INSTALLED_FILE)
        disk.sync_directory(directory / PRIVATE_FOLDER)
    disk.remove(directory / JOURNAL_FILE)
    disk.sync_directory(directory / PRIVATE_FOLDER)
    discard_staged(disk, directory)


def discard_staged(disk: Disk, directory: Path) -> None:
    """Remove what a completed, abandoned or cut update left behind; it holds secrets."""
    for name in (ENV_FILE, PREVIOUS_ENV_FILE, SCHEMA_FILE, PREVIOUS_SCHEMA_FILE):
        disk.remove(directory / f"{name}{BESIDE}")
    disk.remove(directory / DOWNLOAD_FILE)
    disk.remove(directory / _NEXT_INSTALLED_FILE)
    remove_tree(disk, directory / NEXT_FOLDER)


def _make_parents(disk: Disk, directory: Path, name: str) -> set[Path]:
    folders: set[Path] = set()
    folder = directory
    for part in name.split("/")[:-1]:
        folder /= part
        folders.add(folder)
        if not folder.is_dir():
            disk.make_directory(folder)
    return folders


def _remove_empty(disk: Disk, directory: Path, deleted: Iterable[str]) -> None:
    """Directories that only held what was deleted, deepest first."""
    above = {parent for name in deleted for parent in (directory / name).parents if directory in parent.parents}
    for folder in sorted(above, key=lambda path: len(path.parts), reverse=True):
        if folder.is_dir() and not folder.is_symlink():
            disk.remove_directory(folder)
