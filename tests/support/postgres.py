"""A PostgreSQL cluster of our own: made in a new folder, on a free loopback port, gone with its folder at the end.

    with PostgresServer() as server:
        url = server.create_database()            # empty; with `template` a copy of another one
        server.kill()                             # as a power cut: kill -9 of every process
        server.start()                            # recovers from its log

Started with a collation that is not the order of bytes, as most installations have one: what depends on an order must
say which. As root the server runs as user `postgres`, who alone may start it.
"""

import contextlib
import itertools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from sqlalchemy.engine import URL

from tests.support.ports import free_port

__all__ = ["PostgresError", "PostgresServer"]

_HINT = "PostgreSQL is not installed; run: .ci/setup postgresql (Debian: apt-get install postgresql)"
_USER = "pepeunit"
_LIMIT = 60.0


class PostgresError(Exception):
    """The cluster cannot be made, started or asked."""


def _folder_of_programs() -> Path:
    """Return where `initdb` and `postgres` are: the newest of Debian's folders, or one of PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    if found is None:
        raise PostgresError(_HINT)
    return Path(found).parent


def _lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


class PostgresServer:
    """One cluster, made at once and started by `start` or `with`.

    Args:
        fsync: whether a commit waits for the disk; only tests of durability against a power cut need it.
        settings: lines of postgresql.conf, e.g. `max_connections="10"`.
    """

    def __init__(self, *, fsync: bool = False, **settings: str) -> None:
        self._programs = _folder_of_programs()
        self._numbers = itertools.count(1)
        self._password = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="pepeunit-postgresql-"))
        try:
            self._make(fsync, settings)
        except BaseException:
            shutil.rmtree(self.folder)
            raise

    def _make(self, fsync: bool, settings: dict[str, str]) -> None:  # noqa: FBT001 - called once, above
        if os.geteuid() == 0:
            try:
                account = pwd.getpwnam("postgres")
            except KeyError:
                raise PostgresError("root may not run PostgreSQL, and there is no user called postgres") from None
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        password = self.folder / "password"
        password.write_text(self._password)
        password.chmod(0o644)  # the folder itself is closed to others
        self._run(
            "initdb", "--pgdata", str(self._data), "--username", _USER, "--pwfile", str(password), "--auth=password",
            "--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "--no-instructions",
            *(() if fsync else ("--no-sync",)),
        )  # fmt: skip
        lines = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "on" if fsync else "off",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "max_wal_size": "256MB",
            "autovacuum_naptime": "10min",
            **settings,
        }
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in lines.items())

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it answers; it ends with the thread that started it at the latest."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", str(self._data)),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                cwd=self.folder,
            )  # fmt: skip
        deadline = time.monotonic() + _LIMIT
        while self._psql("SELECT 1", check=False).returncode:
            if not self.running or time.monotonic() > deadline:
                raise PostgresError(f"the server does not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Stop as `pg_ctl stop -m fast` does; nothing if it does not run."""
        if self.running and self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_LIMIT)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End every process of the server with SIGKILL."""
        if self._process is None or not self.running:
            return
        self._process.send_signal(signal.SIGSTOP)  # it must not start others for those that are killed first
        # each of them is a session of its own, so a signal to the group would reach the first alone
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self._process.kill()
        self._process.wait(_LIMIT)
        deadline = time.monotonic() + _LIMIT
        while any(_lives(pid) for pid in children):  # what still has the shared memory keeps the next start off
            if time.monotonic() > deadline:
                raise PostgresError("processes of the server survive SIGKILL")

    def url(self, database: str) -> URL:
        """Return the address of a database of this server, without a driver's name."""
        return URL.create("postgresql", _USER, self._password, "127.0.0.1", self.port, database)

    def create_database(self, name: str | None = None, *, template: str | None = None) -> URL:
        """Make a database, empty or as a copy of `template`, to which nobody may be connected meanwhile."""
        name = name or f"db{next(self._numbers)}"
        self._psql(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template0"}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def query(self, database: str, statement: str) -> str:
        """Run one statement outside the program under test and return its rows as psql prints them."""
        return self._psql(statement, database=database).stdout.strip()

    def _psql(
        self, statement: str, *, database: str = "postgres", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        server = ("-h", "127.0.0.1", "-p", str(self.port), "-U", _USER, "-d", database)
        done = subprocess.run(
            [str(self._programs / "psql"), "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", *server, "-c", statement],
            env={**os.environ, "PGPASSWORD": self._password, "PGCONNECT_TIMEOUT": "10"},
            capture_output=True, text=True, check=False, timeout=_LIMIT,
        )  # fmt: skip
        if check and done.returncode:
            raise PostgresError(f"{statement}: {done.stderr.strip()}")
        return done

    def _command(self, program: str, *arguments: str) -> list[str]:
        # SIGINT is a fast shutdown, also where the tests themselves are killed
        command = ["setpriv", "--pdeathsig", "INT"]
        if os.geteuid() == 0:
            command += ["--reuid", "postgres", "--regid", "postgres", "--init-groups"]
        return [*command, str(self._programs / program), *arguments]

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            self._command(program, *arguments),
            capture_output=True, text=True, check=False, timeout=_LIMIT, cwd=self.folder,
        )  # fmt: skip
        if done.returncode:
            raise PostgresError(f"{program}: {done.stderr.strip()}")

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
