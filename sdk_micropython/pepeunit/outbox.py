"""Messages that the broker has not acknowledged yet: bounded, the last one of each topic."""

_MESSAGES = 32
_BYTES = 16384


class Outbox:
    """The newest payload of each topic; a new topic finds no room when it is full."""

    def __init__(self):
        self._items = []  # [topic, payload], oldest first; dicts of boards keep no order
        self._bytes = 0

    def __len__(self):
        return len(self._items)

    def holds(self, topic):
        return any(item[0] == topic for item in self._items)

    def put(self, topic, payload):
        """Keep a message in the place of an older one of its topic; False if there is no room."""
        self._remove(topic)
        if len(self._items) >= _MESSAGES or (self._items and self._bytes + len(payload) > _BYTES):
            return False
        self._items.append((topic, payload))
        self._bytes += len(payload)
        return True

    def put_back(self, topic, payload):
        """Keep a message that was on its way, unless a newer one of its topic waits; False if there is no room."""
        return self.holds(topic) or self.put(topic, payload)

    def first(self):
        """The oldest (topic, payload), which stays until it is taken()."""
        return self._items[0]

    def taken(self, item):
        """The broker has this very item; one that replaced it meanwhile stays."""
        if any(item is kept for kept in self._items):
            self._remove(item[0])

    def _remove(self, topic):
        for index in range(len(self._items)):
            if self._items[index][0] == topic:
                self._bytes -= len(self._items.pop(index)[1])
                return
