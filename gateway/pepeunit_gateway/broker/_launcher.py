"""Starts mosquitto so that it cannot outlive the gateway.

Run as a script: python -I -S _launcher.py PARENT PIDFILE ARGV...

It asks the kernel for SIGTERM at the parent's death, notes its own pid and start time in PIDFILE, raises the limit of
open files and becomes mosquitto. "Parent" means the *thread* that started it: that must be the thread of the event
loop, which lives as long as the gateway. exec keeps the request, the pid and the start time.
Source: decisions.md 20; prctl(2), PR_SET_PDEATHSIG.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, pid_file: str, argv: list[str]) -> None:
    """Become `argv`; never returns."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the request was in place
        sys.exit(1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with open("/proc/self/stat") as file:  # noqa: PTH123 - pathlib would double the start-up time
        started = file.read().rpartition(")")[2].split()[19]
    with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123 - as above
        boot = file.read().strip()
    with open(pid_file + ".new", "w") as file:  # noqa: PTH123 - as above
        file.write(f"{os.getpid()} {started} {boot}\n")
    os.replace(pid_file + ".new", pid_file)  # noqa: PTH105 - as above
    os.execv(argv[0], argv)  # noqa: S606 - that is its purpose


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
