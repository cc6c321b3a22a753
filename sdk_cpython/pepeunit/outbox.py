"""What waits for the broker while it is away: the last value of each topic, so many topics at most."""

from collections import OrderedDict

__all__ = ["Outbox"]


class Outbox:
    """The newest payload per topic, oldest topic first out. A new topic finds no room when `limit` topics wait."""

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._waiting: OrderedDict[str, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, topic: str, payload: bytes) -> bool:
        """Keep a payload in the place of the topic's older one; False if there is no room."""
        if topic not in self._waiting and len(self._waiting) >= self._limit:
            return False
        self._waiting[topic] = payload
        return True

    def put_back(self, topic: str, payload: bytes) -> bool:
        """Keep what could not be sent, unless a newer value of the topic came meanwhile; False if there is no room."""
        return topic in self._waiting or self.put(topic, payload)

    def take(self) -> tuple[str, bytes] | None:
        """The topic that waits longest, with its payload; None if nothing waits."""
        return self._waiting.popitem(last=False) if self._waiting else None

    def discard(self, topic: str) -> None:
        """Forget what waits for a topic, because a newer value goes out right now."""
        self._waiting.pop(topic, None)
