"""Archives of a unit: fetched in every format, their digest checked, the same files in all of them."""

import base64
import hashlib
import io
import json
import tarfile
import zipfile
import zlib
from pathlib import Path

from tests.demo.rest import Answer, Rest

__all__ = ["fetch", "install"]


def _check_digest(answer: Answer, name: str) -> None:
    digest = base64.b64encode(hashlib.sha256(answer.body).digest()).decode()
    if answer.headers.get("Repr-Digest") != f"sha-256=:{digest}:":
        raise ValueError(f"{name}: Repr-Digest {answer.headers.get('Repr-Digest')} does not fit the body")


def _untar(body: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        return {member.name.removeprefix("./"): archive.extractfile(member).read() for member in members}


def _unzip(body: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name.removeprefix("./"): archive.read(name) for name in archive.namelist() if not name.endswith("/")}


async def fetch(rest: Rest, unit: str) -> dict[str, bytes]:
    """Return the files of a unit's archive, after all three formats were found to agree.

    Raises:
        ValueError: a digest is wrong, formats differ or a file is missing.
    """
    tgz = await rest.fetch("GET", f"/units/firmware/tgz/{unit}", params={"wbits": "15", "level": "9"})
    tar = await rest.fetch("GET", f"/units/firmware/tar/{unit}")
    zipped = await rest.fetch("GET", f"/units/firmware/zip/{unit}")
    for answer, name in ((tgz, "tgz"), (tar, "tar"), (zipped, "zip")):
        _check_digest(answer, name)
    files = _untar(zlib.decompress(tgz.body, wbits=15))
    if not files == _untar(tar.body) == _unzip(zipped.body):
        raise ValueError("tgz, tar and zip hold different files")
    missing = {"main.py", "sensor.py", "env.json", "schema.json"} - files.keys()
    if missing or "README.md" in files:
        raise ValueError(f"the archive holds {sorted(files)}; missing {sorted(missing)}, README.md is in .pepeignore")
    json.loads(files["env.json"])
    json.loads(files["schema.json"])
    return files


def install(files: dict[str, bytes], folder: Path) -> None:
    """Write the files as flashing a board would."""
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
