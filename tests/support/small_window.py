"""Inflating with no more memory than a window of 2 to the power of 9 takes, on both interpreters."""

try:
    import deflate
except ImportError:  # CPython
    deflate = None
    import zlib

_PIECE = 64


class _Inflater:
    """A stream over zlib that hands out a little at a time, so that zlib has nothing but its window to look back at."""

    def __init__(self, file, wbits):
        self._file = file
        self._machine = zlib.decompressobj(wbits=wbits)

    def readinto(self, view):
        data = b""
        while not data and not self._machine.eof:
            packed = self._machine.unconsumed_tail or self._file.read(_PIECE)
            if not packed:
                break
            data = self._machine.decompress(packed, min(len(view), _PIECE))
        view[: len(data)] = data
        return len(data)


def inflated(file, wbits):
    """The bytes of a compressed stream; `wbits` as zlib has it, negative for raw deflate and above 16 for gzip."""
    if deflate is None:
        return _Inflater(file, wbits)
    if wbits < 0:
        return deflate.DeflateIO(file, deflate.RAW, -wbits)
    if wbits > 16:
        return deflate.DeflateIO(file, deflate.GZIP, wbits - 16)
    return deflate.DeflateIO(file, deflate.ZLIB, wbits)
