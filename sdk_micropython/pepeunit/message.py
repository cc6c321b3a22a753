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
    parts = []
    at = 0
    while at < len(data):
        good, size = _sequence(data, at)
        parts.append(str(data[at : at + size], "utf-8") if good else "\ufffd")
        at += size
    return "".join(parts)


def _sequence(data, at):
    """Whether one character begins here, and how many bytes belong to it (or to its broken beginning)."""
    first = data[at]
    if first < 0x80:
        return True, 1
    if first < 0xC2 or first > 0xF4:
        return False, 1
    low = {0xE0: 0xA0, 0xF0: 0x90}.get(first, 0x80)
    high = {0xED: 0x9F, 0xF4: 0x8F}.get(first, 0xBF)
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    for count in range(1, size):
        if at + count >= len(data) or not low <= data[at + count] <= high:
            return False, count
        low, high = 0x80, 0xBF
    return True, size


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
