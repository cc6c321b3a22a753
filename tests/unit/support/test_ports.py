"""Ports for servers of tests: no two processes get the same, however many ask at once."""

import json
import subprocess
import sys

from tests.support import ports

ASK = "import json, sys; from tests.support.ports import free_port; print(json.dumps([free_port() for _ in range(40)]))"
AFTER_US = """
import random, sys
from tests.support import ports

class Choices:
    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def choice(self, _):
        return self.numbers.pop(0)

ports._random = Choices(*map(int, sys.argv[1:]))
print(ports.free_port())
"""


def ask(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def read(process):
    with process:
        return json.loads(process.communicate(timeout=60)[0])


def test_nobody_gets_a_port_that_a_living_process_was_given():
    mine, free = ports.free_port(), ports.free_port()
    ports.fcntl.lockf(ports._locks, ports.fcntl.LOCK_UN, 1, free)
    assert read(ask(AFTER_US, mine, mine, free)) == free


def test_a_process_gets_every_port_once():
    given = read(ask(ASK))
    assert len(set(given)) == len(given) == 40
