"""A platform on loopback, a clock that stands still, and the questions of one gateway."""

from datetime import UTC, datetime

import pytest

from pepeunit_gateway.errors import GitPlatformClientError
from pepeunit_gateway.firmware.platforms import PlatformClient, Platforms
from pepeunit_gateway.firmware.remotes import Credentials
from pepeunit_gateway.firmware.web import Web
from tests.support.git_platforms import GitHubApi, GitLabApi, PlatformServer, Project
from tests.support.git_server import GitServer

__all__ = ["START", "PlatformStage"]

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


class PlatformStage:
    """`project` is a repository of 3 MiB on a platform of that kind; `now` moves when a test moves it."""

    def __init__(self, server: GitServer, kind: str, web: Web) -> None:
        self.kind = kind
        self.now = START
        path = "owner/thermometer" if kind == "Github" else "group/sub.group/thermo-meter"
        self.project = Project(path, server.url(path), size=3 * 2**20)
        self.server: PlatformServer = (GitHubApi if kind == "Github" else GitLabApi)(self.project)
        server.api = self.server.answer
        self.platforms = Platforms(web, lambda: self.now, github=None)

    def client(self, credentials: Credentials | None = None) -> PlatformClient:
        """Ask about the project."""
        client = self.platforms.client(self.kind, self.project.url, credentials)
        assert client is not None
        return client

    def fill(self, count: int) -> None:
        """Publish that many releases with one file each."""
        for number in range(count):
            self.project.release(f"v{number}", {"pi": f"https://files.example/v{number}/pi"})

    async def fails(
        self, credentials: Credentials | None = None, kind: type[GitPlatformClientError] = GitPlatformClientError
    ) -> str:
        """Return what is said when the releases cannot be read; no token is in it."""
        with pytest.raises(kind) as caught:
            await self.client(credentials).releases()
        assert "token" not in caught.value.message.replace("a token allows", "").replace("refuses the token", "")
        return caught.value.message
