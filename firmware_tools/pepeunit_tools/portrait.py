"""Everything public of one unit in words. Source: protocol/entities.md 1.4, protocol/device.md 1.4. Pure functions."""

from datetime import datetime

from pepeunit_tools.client import Row
from pepeunit_tools.wording import ago, moment

__all__ = ["portrait"]

_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_MHZ = 1_000_000
_BLOCK_SIZE, _FREE_BLOCKS, _ALL_BLOCKS = 1, 4, 2  # places in statvfs: f_frsize, f_bavail, f_blocks
_STATVFS_LENGTH = 10

_SENT = "last_firmware_update_datetime"
"""When the command went out of which nothing is known yet; the gateway clears it with the verdict."""

Pairs = list[tuple[str, str]]


def portrait(row: Row, *, repo: str, now: datetime) -> Pairs:
    """Return the fields of a unit with their values in words; `repo` is the name of the repo that it follows."""
    state = row.get("unit_state")
    return [
        ("name", _text(row, "name")),
        ("uuid", _text(row, "uuid")),
        ("visibility", _text(row, "visibility_level")),
        ("repo", repo),
        ("follows", _follows(row)),
        *([("platform", _text(row, "target_firmware_platform"))] if row.get("target_firmware_platform") else []),
        ("version", row.get("current_commit_version") or "it has not reported one yet"),
        ("update", _update(row)),
        ("update error", row.get("firmware_update_error") or "none"),
        *([("update sent", _when(row, _SENT, now))] if row.get(_SENT) else []),
        ("created", _when(row, "create_datetime", now)),
        ("heard or changed", _when(row, "last_update_datetime", now)),
        *(_state(state) if isinstance(state, dict) else [("state", "it has not reported one yet")]),
    ]


def _follows(row: Row) -> str:
    if row.get("is_auto_update_from_repo_unit"):
        return "its repo"
    return f"commit {row.get('repo_commit')} of branch {row.get('repo_branch')}, whatever its repo does"


def _update(row: Row) -> str:
    status = row.get("firmware_update_status")
    words = {
        None: "none was asked for yet",
        "RequestSent": "sent; it has not reported the new version yet",
        "Success": "done",
        "Error": "failed",
    }
    return words.get(status, str(status))


def _state(state: Row) -> Pairs:
    """The last state that the unit reported; 0 and what is missing stand for what it does not know."""
    pairs: Pairs = []
    addresses = state.get("ifconfig")
    if isinstance(addresses, list) and addresses:
        pairs.append(("network", " ".join(str(part) for part in addresses)))
    if free := state.get("mem_free"):
        pairs.append(("memory", f"{_size(free)} free, {_size(state.get('mem_alloc') or 0)} in use"))
    if frequency := state.get("freq"):
        pairs.append(("clock", f"{frequency / _MHZ:g} MHz"))
    disk = state.get("statvfs")
    if isinstance(disk, list) and len(disk) >= _STATVFS_LENGTH and all(isinstance(part, int) for part in disk):
        block = disk[_BLOCK_SIZE]
        pairs.append(("disk", f"{_size(disk[_FREE_BLOCKS] * block)} free of {_size(disk[_ALL_BLOCKS] * block)}"))
    if (millis := state.get("millis")) is not None:
        pairs.append(("its clock", f"{millis:.0f} ms"))
    return pairs


def _size(number: float) -> str:
    for length, name in _SIZES:
        if number >= length:
            return f"{number / length:.1f} {name}"
    return f"{number:g} bytes"


def _when(row: Row, key: str, now: datetime) -> str:
    text = row.get(key)
    return f"{moment(text)}, {ago(text, now)}" if text else "never"


def _text(row: Row, key: str) -> str:
    return str(row.get(key))
