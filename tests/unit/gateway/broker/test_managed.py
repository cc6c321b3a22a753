"""How many devices the limit of open files leaves room for."""

import resource
import subprocess
import sys

import pytest

from pepeunit_gateway.broker.managed import file_limit


@pytest.mark.parametrize(
    ("hard", "expected"),
    [
        (resource.RLIM_INFINITY, (21_024, 10_000)),
        (1_048_576, (21_024, 10_000)),
        (21_024, (21_024, 10_000)),
        (20_000, (20_000, 9_488)),
        (1024, (1024, 0)),
        (256, (256, 0)),
    ],
)
def test_every_device_takes_two_files_beside_those_of_the_gateway(hard, expected):
    assert file_limit(hard, 10_000) == expected


_RAISE = """
import resource, structlog
from pepeunit_gateway.broker.managed import _raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
with structlog.testing.capture_logs() as events:
    _raise_file_limit({clients})
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], [(e["log_level"], e["devices"]) for e in events])
"""


@pytest.mark.parametrize(
    ("hard", "clients", "told"),
    [
        (3500, 1000, "3024 []"),
        (3500, 2000, "3500 [('debug', 1238)]"),
        (3500, 10_000, "3500 [('info', 1238)]"),
        (2024, 10_000, "2024 [('warning', 500)]"),
    ],
)
def test_a_limit_is_told_by_how_much_it_takes_and_few_devices_are_a_warning(hard, clients, told):
    code = _RAISE.format(hard=hard, clients=clients)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == told
