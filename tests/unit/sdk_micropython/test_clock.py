"""clock.py in the real MicroPython."""

from tests.support.micropython import run_script


def test_uptime_goes_on_over_every_wrap_of_the_ticks_s5(tmp_path):
    run_script(
        """
from pepeunit.clock import Uptime

PERIOD = 1 << 30  # of the ticks of an ESP32, 12.4 days
now = PERIOD - 500

def difference(new, old):  # as time.ticks_diff of a board
    return (new - old + PERIOD // 2) % PERIOD - PERIOD // 2

uptime = Uptime(lambda: now % PERIOD, difference)
HOUR = 3600000
for hours in range(1, 24 * 60):
    now += HOUR
    assert uptime.ms() == hours * HOUR, hours
""",
        tmp_path,
    )


def test_a_sleep_of_weeks_is_slept_in_steps_that_the_ticks_can_hold(tmp_path):
    run_script(
        """
import asyncio
import pepeunit.clock as clock

slept = []
now = 0

class Loop:
    async def sleep_ms(self, ms):
        global now
        slept.append(ms)
        now += ms

clock.asyncio = Loop()
uptime = clock.Uptime(lambda: now, lambda new, old: new - old)
WEEKS = 21 * 24 * 3600000
asyncio.run(uptime.sleep_until(WEEKS))
assert uptime.ms() == WEEKS == sum(slept)
assert max(slept) <= 3600000
""",
        tmp_path,
    )


def test_backoff_has_full_jitter_and_a_cap(tmp_path):
    run_script(
        """
from pepeunit.clock import backoff_ms

for failures, highest in ((0, 1000), (1, 2000), (5, 32000), (6, 60000), (10000, 60000)):
    found = [backoff_ms(failures) for _ in range(300)]
    assert 0 < min(found) < highest * 0.1 and highest * 0.9 < max(found) <= highest, (failures, max(found))
""",
        tmp_path,
    )


def test_the_wall_clock_counts_from_1970_also_where_the_board_counts_from_2000(tmp_path):
    out = run_script(
        """
import sys
import time as real

class Board:
    def __getattr__(self, name):
        return getattr(real, name)
    def gmtime(self, seconds):
        return (2000, 1, 1, 0, 0, 0, 5, 1)
    def time_ns(self):
        return real.time_ns() - 946684800 * 10**9

sys.modules["time"] = Board()
from pepeunit.clock import unix_ms
assert abs(unix_ms() - real.time_ns() // 10**6) < 1000
Board.time_ns = lambda self: 5 * 10**9
print(unix_ms())
""",
        tmp_path,
    )
    assert out == "None\n", "a clock that nobody has set is no clock"
