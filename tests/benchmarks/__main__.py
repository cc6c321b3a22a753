"""`make bench [ONLY=name]`: prints the settings of each benchmark and one line per figure.

Lines that begin with `bench ` are figures (see figure.py); all others tell settings and details.
A figure that falls short of its goal is printed so; the exit code is 1 only if something could not be measured.
"""

import asyncio
import os
import platform
import sys

from tests.benchmarks import archives, gateway, push, rest, sdk_import, sync, versions
from tests.benchmarks.figure import Figure

_ALL = (sdk_import, gateway, rest, archives, sync, versions, push)
MODULES = {name: module for module in _ALL for name in module.NAMES}


def show(item: Figure | str) -> None:
    print(item.line() if isinstance(item, Figure) else f"# {item}", flush=True)


async def run(names: set[str]) -> None:
    if names & set(sdk_import.NAMES):
        for item in sdk_import.measure(names):
            show(item)
    if names & set(gateway.NAMES):
        async for item in gateway.measure(names):
            show(item)
    if names & set(rest.NAMES):
        async for item in rest.measure(names):
            show(item)
    if names & set(archives.NAMES):
        async for item in archives.measure(names):
            show(item)
    for module in (sync, versions, push):
        if names & set(module.NAMES):
            async for item in module.measure(names):
                show(item)


def main(arguments: list[str]) -> int:
    names = {name for name in MODULES if not arguments or any(name.startswith(wanted) for wanted in arguments)}
    if not names:
        print(f"no benchmark begins with {' or '.join(arguments)}; there are: {' '.join(MODULES)}", file=sys.stderr)
        return 2
    show(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    asyncio.run(run(names))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
