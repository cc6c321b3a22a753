"""A made-up sensor: a slow rise and fall between 20.0 and 24.0 degrees, as a real one would read."""

LOWEST = 200  # tenths of a degree, so that no sum of floats drifts
HIGHEST = 240


class Sensor:
    def __init__(self):
        self._tenths = LOWEST
        self._step = 1

    def read(self):
        """Return the temperature in degrees Celsius with one decimal place."""
        self._tenths += self._step
        if self._tenths >= HIGHEST or self._tenths <= LOWEST:
            self._step = -self._step
        return self._tenths / 10
