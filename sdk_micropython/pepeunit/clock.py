"""Time on a board: milliseconds that never wrap, and the wall clock where it was set."""

import asyncio
import random
import time

# ESP32 counts from 2000, the unix port from 1970.
_EPOCH_MS = 946684800000 if time.gmtime(0)[0] == 2000 else 0
_CLOCK_IS_SET_MS = 1704067200000  # 2024: before that nobody has set it
_LONGEST_SLEEP_MS = 3600000


class Uptime:
    """Milliseconds since it was made. Ticks wrap after 12.4 days on a board and their difference turns negative after
    half of that, so the total is summed up in steps; any task that sleeps through Uptime keeps it going."""

    def __init__(self, ticks=time.ticks_ms, difference=time.ticks_diff):
        self._ticks = ticks
        self._difference = difference
        self._last = ticks()
        self._total = 0

    def ms(self):
        now = self._ticks()
        self._total += self._difference(now, self._last)
        self._last = now
        return self._total

    async def sleep_until(self, moment):
        """Sleep until ms() has reached moment, however far away that is."""
        while True:
            left = moment - self.ms()
            if left <= 0:
                return
            await asyncio.sleep_ms(min(left, _LONGEST_SLEEP_MS))


def unix_ms():
    """Milliseconds since 1970, or None where the clock was never set."""
    now = time.time_ns() // 1000000 + _EPOCH_MS
    return now if now > _CLOCK_IS_SET_MS else None


def backoff_ms(failures, first=1000, cap=60000):
    """Full jitter: anything up to first * 2^failures, at most cap."""
    return random.randrange(1, min(cap, first << min(failures, 16)) + 1)
