"""A real git server for tests and the demo: `git http-backend` behind a small HTTP server on loopback.

    with GitServer(root) as server:
        tree = WorkTree.create(root / "work", bare=server.bare("sample"))
        tree.write("main.py", "print(1)")
        tree.commit("first")
        tree.push()
        server.url("sample")          # http://127.0.0.1:<port>/sample.git

The server runs in threads of its own, so that blocking and asyncio code may use it alike. `fault` makes it misbehave.
What lies below `/api/` is answered by `api` (tests/support/git_platforms.py), if there is one.
"""

import base64
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

__all__ = ["Api", "Fault", "GitServer", "WorkTree"]

Api = Callable[[str, Mapping[str, str]], tuple[int, dict[str, str], bytes]]
"""From a path with its query and the headers of a GET to status, headers and body; ConnectionError resets."""

_LIMIT = 60
_PIECES = 5


@dataclass
class Fault:
    """What goes wrong from now on.

    A `status` instead of an answer (with `headers` and `body`); a reset after `cut_after` bytes of a POST answer; every
    request, or every one of the method `held`, waits until `release` is set (`arrived` tells that one waits); a POST
    answer comes in five pieces with `pause` seconds before each; or `endless` is what answers a fetch (with `held` GET:
    the question for branches) instead of git, piece by piece for as long as the client takes it.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_after: int | None = None
    release: threading.Event | None = None
    arrived: threading.Event = field(default_factory=threading.Event)
    held: str = ""
    pause: float = 0
    endless: Callable[[], Iterator[bytes]] | None = None


class GitServer:
    """Serves every bare repository below `root`; with `credentials` (user, password) only to who knows them.

    Whoever does not is answered 401 or what `refusal` says: GitHub and GitLab answer a valid token that may not see a
    private repository with 404.

    Read-only over HTTP; `WorkTree.push` writes into the bare repositories on disk.
    """

    def __init__(self, root: Path, *, credentials: tuple[str, str] | None = None, host: str = "127.0.0.1") -> None:
        self.root = root
        self.credentials = credentials
        self.refusal = 401
        self.fault = Fault()
        self.requests: list[tuple[str, str]] = []
        self.api: Api | None = None
        self._host = host
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        exec_path = subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True, timeout=_LIMIT)
        self.backend = Path(exec_path.stdout.strip()) / "git-http-backend"

    def start(self) -> None:
        """Listen on a free port, after a stop on the same one again."""
        self.root.mkdir(parents=True, exist_ok=True)
        handler = type("Handler", (_Handler,), {"git": self})
        self._server = ThreadingHTTPServer((self._host, self._port), handler)
        self._server.daemon_threads = True
        self._port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; requests that a fault holds are let go."""
        if self.fault.release is not None:
            self.fault.release.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(_LIMIT)
            self._server = None

    @property
    def port(self) -> int:
        assert self._port, "start the server first"
        return self._port

    def url(self, repo: str) -> str:
        """Return the clone URL of `<root>/<repo>.git`."""
        return f"http://{self._host}:{self.port}/{repo}.git"

    def bare(self, repo: str) -> Path:
        """Return the folder of a bare repository, which is made if missing."""
        folder = self.root / f"{repo}.git"
        if not folder.exists():
            _git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
        return folder

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class WorkTree:
    """A working copy whose commits have one author and, one minute apart, fixed times: equal input, equal hashes."""

    def __init__(self, folder: Path, bare: Path) -> None:
        self.folder = folder
        self.bare = bare
        self._minutes = 0

    @classmethod
    def create(cls, folder: Path, *, bare: Path, source: Path | None = None) -> Self:
        """Make a repository in `folder`, a copy of `source` if given; nothing is committed yet."""
        if source is None:
            folder.mkdir(parents=True)
        else:
            shutil.copytree(source, folder)
        _git("init", "--quiet", "--initial-branch=main", str(folder))
        return cls(folder, bare)

    def git(self, *arguments: str) -> str:
        """Run git in the working copy and return what it printed."""
        return _git("-C", str(self.folder), *arguments, minutes=self._minutes)

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file, its folders included."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str) -> str:
        """Commit everything that changed and return the commit's 40 digits."""
        self._minutes += 1
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").strip()

    def tag(self, name: str, *, message: str | None = None) -> None:
        """Tag the last commit; with a message the tag is an object of its own."""
        self.git("tag", *(("--annotate", "--message", message) if message else ()), "--end-of-options", name)

    def branch(self, name: str) -> None:
        """Go over to a new branch."""
        self.git("checkout", "--quiet", "-b", name)

    def push(self) -> None:
        """Make the bare repository an exact copy: branches, tags, deletions and rewritten history."""
        self.git("push", "--quiet", "--mirror", str(self.bare))


class _Handler(BaseHTTPRequestHandler):
    """One request: checked, then handed to the CGI program."""

    git: GitServer
    timeout = _LIMIT

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so by the base class
        """Say nothing; tests look at `requests`."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        if self.git.api is not None and self.path.startswith("/api/"):
            self._answer_api(self.git.api)
        else:
            self._serve_git()

    def _answer_api(self, api: Api) -> None:
        try:
            self._answer(*api(self.path, self.headers))
        except ConnectionError:
            self._reset()

    def _serve_git(self) -> None:
        fault = self.git.fault
        authorization = self.headers.get("Authorization", "")
        self.git.requests.append((f"{self.command} {self.path}", authorization))
        body = self._body()
        if fault.release is not None and fault.held in ("", self.command):
            fault.arrived.set()
            fault.release.wait(_LIMIT)
        if fault.status is not None:
            self._answer(fault.status, fault.headers, fault.body)
        elif not self._allowed(authorization):
            self._answer(self.git.refusal, {"WWW-Authenticate": 'Basic realm="git"'}, b"no access\n")
        elif fault.endless is not None and (self.command == fault.held or b"command=fetch" in body):
            self._pour(fault.endless(), is_last=b"0009done\n" in body)
        else:
            self._run_backend(body, fault if self.command == "POST" else Fault())

    def _allowed(self, authorization: str) -> bool:
        if self.git.credentials is None:
            return True
        expected = base64.b64encode(":".join(self.git.credentials).encode()).decode()
        return authorization == f"Basic {expected}"

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _run_backend(self, body: bytes, fault: Fault) -> None:
        url = urlsplit(self.path)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROJECT_ROOT": str(self.git.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(
            [str(self.git.backend)], input=body, env=environment, capture_output=True, timeout=_LIMIT, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        self._answer(status, headers, content, cut_after=fault.cut_after, pause=fault.pause)

    def _answer(
        self,
        status: int,
        headers: dict[str, str],
        content: bytes,
        *,
        cut_after: int | None = None,
        pause: float = 0,
    ) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self._write(content[:cut_after], pause)
            if cut_after is not None:
                self.wfile.flush()
                self._reset()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client was killed, which is what some tests are about

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()

    def _pour(self, pieces: Iterator[bytes], *, is_last: bool) -> None:
        """Answer a fetch of protocol version 2; where the client still asks for what is common, it is told enough."""
        try:
            self.send_response(200)
            kind = "advertisement" if self.command == "GET" else "result"
            self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
            self.end_headers()
            if not is_last and self.command == "POST":
                self.wfile.write(b"0014acknowledgments\n000aready\n0001")
            for piece in pieces:
                self.wfile.write(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has enough

    def _write(self, content: bytes, pause: float) -> None:
        if not pause:
            self.wfile.write(content)
            return
        step = len(content) // _PIECES + 1
        for start in range(0, len(content), step):
            threading.Event().wait(pause)
            self.wfile.write(content[start : start + step])


def _git(*arguments: str, minutes: int = 0) -> str:
    when = f"{1_700_000_000 + 60 * minutes} +0000"
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "LC_ALL": "C",
        **{f"GIT_{role}_NAME": "Maker" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "maker@example.org" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_DATE": when for role in ("AUTHOR", "COMMITTER")},
    }
    done = subprocess.run(
        ["git", *arguments], env=environment, capture_output=True, text=True, timeout=_LIMIT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"git {arguments[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout
