"""Messages that the broker has not acknowledged yet: bounded, the last one of each topic."""

_MESSAGES = 32
_BYTES = 16384


class Outbox:
    """A full outbox drops its oldest message; `dropped` counts them."""

    def __init__(self):
        self._items = []  # [topic, payload], oldest first; dicts of boards keep no order
        self._bytes = 0
        self.dropped = 0

    def __len__(self):
        return len(self._items)

    def holds(self, topic):
        return any(item[0] == topic for item in self._items)

    def put(self, topic, payload):
        """Keep a message in the place of an older one of its topic."""
        self._remove(topic)
        self._items.append((topic, payload))
        self._bytes += len(payload)
        while len(self._items) > _MESSAGES or (self._bytes > _BYTES and len(self._items) > 1):
            self._remove(self._items[0][0])
            self.dropped += 1

    def put_back(self, topic, payload):
        """Keep a message that was on its way, unless a newer one of its topic waits already."""
        if not self.holds(topic):
            self.put(topic, payload)

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
