"""A reader of plain ustar archives that looks at every byte once and trusts none of them."""

from pepeunit.errors import ArchiveError

_BLOCK = 512
_NAME_LIMIT = 200


class Reader:
    """Walks over an archive: next() gives (name, is_folder, size), readinto() the content of that member."""

    def __init__(self, stream):
        self._stream = stream
        self._block = bytearray(_BLOCK)
        self._view = memoryview(self._block)
        self._left = 0
        self._padding = 0

    def next(self):
        """The next member, None after the end marker. The one before must have been read to its end."""
        if self._left:
            raise ArchiveError("the archive was not read to the end of a member")
        if self._padding:
            self._take(self._view[: self._padding])
            self._padding = 0
        self._take(self._view)
        if not any(self._block):
            self._end()
            return None
        return self._header()

    def _header(self):
        block = self._block
        found = sum(block) - sum(self._view[148:156]) + 8 * 32
        if _octal(block[148:156]) != found or block[257:262] != b"ustar":
            raise ArchiveError("the archive is damaged")
        kind = block[156]
        if kind not in (0, 48, 53):
            raise ArchiveError("the archive holds something that is neither a file nor a folder")
        name = _text(block[0:100])
        prefix = _text(block[345:500])
        size = _octal(block[124:136])
        if kind == 53 and size:
            raise ArchiveError("the archive is damaged")
        self._left = size
        self._padding = -size % _BLOCK
        return safe_name(prefix + "/" + name if prefix else name), kind == 53, size

    def readinto(self, view):
        """Read the next piece of the member's content; 0 at its end."""
        count = min(len(view), self._left)
        if count:
            self._take(view[:count])
            self._left -= count
        return count

    def _take(self, view):
        at = 0
        while at < len(view):
            count = self._stream.readinto(view[at:])
            if not count:
                raise ArchiveError("the archive is cut")
            at += count

    def _end(self):
        """A second empty block must follow, and after it nothing but zeros."""
        self._take(self._view)
        while True:
            if any(self._block):
                raise ArchiveError("the archive goes on after its end")
            count = self._stream.readinto(self._view)
            if not count:
                return
            for index in range(count, _BLOCK):
                self._block[index] = 0


def _text(field):
    end = field.find(b"\0")
    return str(bytes(field if end < 0 else field[:end]), "utf-8")


def _octal(field):
    try:
        return int(bytes(field).strip(b" \0") or b"0", 8)
    except ValueError:
        raise ArchiveError("the archive is damaged")


def safe_name(name):
    """The name without its leading ./; "" for the root. ArchiveError if it leads out of the folder or into ours."""
    name = name.rstrip("/")
    if name == ".":
        return ""
    if name.startswith("./"):
        name = name[2:]
    parts = name.split("/")
    if not name or len(name) > _NAME_LIMIT or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise ArchiveError("the archive holds a file with a forbidden name")
    if parts[0] == ".pepeunit":
        raise ArchiveError("the archive holds files of .pepeunit, which belong to the unit")
    return name
