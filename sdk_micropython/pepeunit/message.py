"""What a handler gets."""

import json

import pepeunit.jsontext as jsontext


class Message:
    def __init__(self, topic, name, payload):
        self.topic = topic
        self.name = name
        self.payload = payload

    @property
    def text(self):
        """The payload as text; what is not UTF-8 becomes U+FFFD."""
        return decode(self.payload)

    def json(self):
        """The payload's value; ValueError where it is not JSON."""
        return jsontext.loads(self.payload)


def decode(data):
    """As bytes.decode("utf-8", "replace") does on CPython; boards accept overlong forms and surrogates."""
    if max(data) < 0x80 if data else True:
        return str(data, "utf-8")
    out = bytearray()  # a list of the parts would need many times the memory
    begun = at = 0
    while at < len(data):
        size = _sequence(data, at)
        if size > 0:
            at += size
            continue
        out.extend(data[begun:at])
        out.extend(b"\xef\xbf\xbd")
        begun = at = at - size
    out.extend(data[begun:])
    return str(out, "utf-8")


def _sequence(data, at):
    """The bytes of the character that begins here, or, negative, those of its broken beginning."""
    first = data[at]
    if first < 0x80:
        return 1
    if first < 0xC2 or first > 0xF4:
        return -1
    low = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80
    high = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    for count in range(1, size):
        if at + count >= len(data) or not low <= data[at + count] <= high:
            return -count
        low = 0x80
        high = 0xBF
    return size


def encode(value):
    """The bytes of a published value: str and bytes as they are, numbers as their text, the rest as JSON."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bool, dict, list)):
        return json.dumps(value, separators=(",", ":")).encode()
    if isinstance(value, (int, float)):
        return str(value).encode()
    raise TypeError("publish takes str, bytes, int, float, bool, dict or list, not " + type(value).__name__)
