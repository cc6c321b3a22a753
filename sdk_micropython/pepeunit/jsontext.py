"""JSON as the platform writes it: boards take a pair of escaped surrogates for two characters, it is one."""

import json


def loads(data):
    """The value of a JSON text (bytes or str); ValueError if it is none."""
    if isinstance(data, str):
        data = data.encode()
    if b"\\ud" in data or b"\\uD" in data:
        data = _joined(data)
    return json.loads(data)


def _joined(data):
    out = bytearray()
    at = 0
    while at < len(data):
        size = 1
        if data[at] == 0x5C:
            character = _pair(data[at : at + 12])
            if character:
                out.extend(character)
                at += 12
                continue
            size = 2  # whatever is escaped, a second backslash too
        out.extend(data[at : at + size])
        at += size
    return bytes(out)


def _pair(text):
    """The UTF-8 bytes of `\\uD83D\\uDE00`, None if the text is no such pair."""
    if len(text) < 12 or text[1] != 0x75 or text[6:8] != b"\\u":
        return None
    try:
        high = int(text[2:6], 16)
        low = int(text[8:12], 16)
    except ValueError:
        return None
    if high >> 10 != 0x36 or low >> 10 != 0x37:
        return None
    return chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF)).encode()
