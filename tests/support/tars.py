"""Archives that no gateway would build: members of any kind and name."""

import io
import tarfile
from typing import Any

__all__ = ["member", "tar_of"]


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, **more: Any) -> tarfile.TarInfo:
    """One member of `size` bytes `z`; `more` are attributes of TarInfo."""
    made = tarfile.TarInfo(name)
    made.type, made.size = kind, size
    for key, value in more.items():
        setattr(made, key, value)
    return made


def tar_of(*members: tarfile.TarInfo, form: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(b"z" * info.size))
    return out.getvalue()
