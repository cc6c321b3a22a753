"""GitHub and GitLab on loopback: the API of a `GitServer`, in the shapes that the real ones answer in.

    with GitServer(root) as server:
        project = Project("owner/thermometer", server.url("owner/thermometer"))
        platform = GitHubApi(project)       # or GitLabApi
        server.api = platform.answer
        project.release("v1", {"esp32.bin": "https://files.example/esp32.bin"})

GitHub: REST v3 as GitHub Enterprise serves it below /api/v3 - paging by Link, X-RateLimit-*, ETag and 304, 403 for too
many questions, 301 to a repository that was renamed. GitLab: v4 - lookup by a path with %2F, statistics for who has a
token, X-Next-Page, RateLimit-*, 429 with Retry-After. `trouble` makes them misbehave.
"""

import hashlib
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

__all__ = ["GitHubApi", "GitLabApi", "PlatformServer", "Project", "Trouble"]

Reply = tuple[int, dict[str, str], bytes]

_LIMIT = 60
_JSON = {"Content-Type": "application/json; charset=utf-8"}


@dataclass
class Project:
    """One repository; `token` is what a private one asks for, `former` are paths that it had before."""

    path: str
    url: str
    token: str = ""
    size: int = 100_000
    number: int = 1296269
    former: tuple[str, ...] = ()
    releases: list[tuple[str, dict[str, str], bool]] = field(default_factory=list)

    def release(self, tag: str, files: Mapping[str, str], *, draft: bool = False) -> None:
        """Publish a release, the newest: names of files and where they lie."""
        self.releases.insert(0, (tag, dict(files), draft))

    def files(self, tag: str) -> dict[str, str]:
        """The files of a release, to be changed."""
        return next(files for name, files, _ in self.releases if name == tag)


@dataclass
class Trouble:
    """What goes wrong from now on.

    A `status` instead of an answer, with `headers` and `body`; a connection that is reset; an answer that waits for
    `release`; one page after the other without end; an answer that is `body` whatever was asked.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    reset: bool = False
    endless: bool = False
    release: threading.Event | None = None


class PlatformServer(ABC):
    """What both have in common. `questions` are the paths that were asked, `left` those that may still be."""

    prefix: str
    limit_headers: tuple[str, str, str]

    def __init__(self, project: Project) -> None:
        self.project = project
        self.trouble = Trouble()
        self.questions: list[str] = []
        self.seen_headers: list[dict[str, str]] = []
        self.unchanged = 0
        self.left: int | None = None
        self.reset_at = 0

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        """Answer a GET as `GitServer.api`."""
        self.questions.append(target.removeprefix(self.prefix))
        self.seen_headers.append(dict(headers.items()))
        trouble = self.trouble
        if trouble.release is not None:
            trouble.release.wait(_LIMIT)
        if trouble.reset:
            raise ConnectionResetError
        if trouble.status is not None:
            return trouble.status, trouble.headers, trouble.body
        if self.left == 0:
            return self.refusal()
        url = urlsplit(target.removeprefix(self.prefix))
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        status, extra, body = self.route(url.path, query, headers)
        etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
        if status == 200 and headers.get("If-None-Match") == etag:
            self.unchanged += 1
            return 304, {"ETag": etag, **self.quota()}, b""
        if self.left is not None:
            self.left -= 1
        return status, {**_JSON, "ETag": etag, **extra, **self.quota()}, body

    def quota(self) -> dict[str, str]:
        """The headers that tell how many questions are left."""
        if self.left is None:
            return {}
        values = ("60", str(self.left), str(self.reset_at))
        return dict(zip(self.limit_headers, values, strict=True))

    @abstractmethod
    def refusal(self) -> Reply:
        """What is answered to one question too many."""

    @abstractmethod
    def route(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        """Answer a question that is allowed."""

    def page(self, query: Mapping[str, str], entries: list[Any]) -> tuple[list[Any], int, bool]:
        """Return the entries of the asked page, its number, and whether another follows."""
        size, number = min(int(query.get("per_page", "30")), 100), int(query.get("page", "1"))
        if self.trouble.endless:
            return entries[:1] * size, number, True
        return entries[(number - 1) * size : number * size], number, number * size < len(entries)


class GitHubApi(PlatformServer):
    """GitHub Enterprise: the API lies at /api/v3."""

    prefix = "/api/v3"
    limit_headers = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")

    def refusal(self) -> Reply:
        message = {"message": "API rate limit exceeded for 127.0.0.1.", "documentation_url": "https://docs.github.com/"}
        return 403, {**_JSON, **self.quota()}, json.dumps(message).encode()

    def route(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        base, tail = f"http://{headers['Host']}{self.prefix}/repositories/{self.project.number}", ""
        for owner_and_name in (self.project.path, *self.project.former):
            found = path.removeprefix(f"/repos/{owner_and_name}")
            if found in ("", "/releases") and found != path:
                tail = found
                break
        else:
            if not path.startswith(f"/repositories/{self.project.number}"):
                return _github_error(404, "Not Found")
            tail, owner_and_name = path.removeprefix(f"/repositories/{self.project.number}"), self.project.path
        token = headers.get("Authorization")
        if token is not None and token != f"Bearer {self.project.token}":
            return _github_error(401, "Bad credentials")
        if self.project.token and token is None:
            return _github_error(404, "Not Found")
        if owner_and_name != self.project.path:
            where = base + tail + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
            moved = {"message": "Moved Permanently", "url": where}
            return 301, {"Location": where}, json.dumps(moved).encode()
        if not tail:
            body = {"id": self.project.number, "full_name": self.project.path, "size": self.project.size // 1024}
            return 200, {}, json.dumps(body).encode()
        return self._releases(query, base)

    def _releases(self, query: Mapping[str, str], base: str) -> Reply:
        entries, number, more = self.page(query, [self._release(*release) for release in self.project.releases])
        links = []
        if number > 1:
            links.append(f'<{base}/releases?page={number - 1}>; rel="prev"')
        if more:
            links.append(f'<{base}/releases?page={number + 1}>; rel="next"')
        return 200, {"Link": ", ".join(links)} if links else {}, json.dumps(entries).encode()

    def _release(self, tag: str, files: Mapping[str, str], draft: bool) -> dict[str, Any]:  # noqa: FBT001 - a field
        return {
            "id": 1,
            "tag_name": tag,
            "target_commitish": "main",
            "name": tag,
            "draft": draft,
            "prerelease": False,
            "body": "What changed",
            "assets": [
                {
                    "id": 1,
                    "name": name,
                    "label": None,
                    "state": "open" if link == "uploading" else "uploaded",
                    "size": 1024,
                    "content_type": "application/octet-stream",
                    "browser_download_url": link,
                }
                for name, link in files.items()
            ],
        }


class GitLabApi(PlatformServer):
    """GitLab: a project is found by its path with %2F and has a number."""

    prefix = "/api/v4"
    limit_headers = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")

    def refusal(self) -> Reply:
        headers = {"Content-Type": "text/plain", "Retry-After": "60", **self.quota()}
        return 429, headers, b"Retry later\n"

    def route(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        token = headers.get("PRIVATE-TOKEN")
        if token is not None and token != self.project.token:
            return 401, {}, b'{"message":"401 Unauthorized"}'
        lookup, number = f"/projects/{quote(self.project.path, safe='')}", f"/projects/{self.project.number}"
        if path not in (lookup, number, f"{number}/releases") or (self.project.token and token is None):
            return 404, {}, b'{"message":"404 Project Not Found"}'
        if path != f"{number}/releases":
            body: dict[str, Any] = {"id": self.project.number, "path_with_namespace": self.project.path}
            if query.get("statistics") == "true" and token is not None:
                body["statistics"] = {"commit_count": 3, "repository_size": self.project.size}
            return 200, {}, json.dumps(body).encode()
        entries, page, more = self.page(query, [self._release(*release) for release in self.project.releases])
        paging = {"X-Page": str(page), "X-Per-Page": "100", "X-Next-Page": str(page + 1) if more else ""}
        return 200, paging, json.dumps(entries).encode()

    def _release(self, tag: str, files: Mapping[str, str], draft: bool) -> dict[str, Any]:  # noqa: FBT001 - a field
        base = self.project.url.removesuffix(".git")
        sources = [{"format": f, "url": f"{base}/-/archive/{tag}.{f}"} for f in ("zip", "tar.gz", "tar.bz2", "tar")]
        links = [
            {"id": 2, "name": name, "url": link, "direct_asset_url": f"{base}/-/x", "link_type": "other"}
            for name, link in files.items()
        ]
        return {
            "tag_name": tag,
            "name": tag,
            "description": "What changed",
            "upcoming_release": draft,
            "assets": {"count": len(sources) + len(links), "sources": sources, "links": links},
            "_links": {"self": f"{base}/-/releases/{tag}"},
        }


def _github_error(status: int, message: str) -> Reply:
    return status, {}, json.dumps({"message": message, "documentation_url": "https://docs.github.com/rest"}).encode()
