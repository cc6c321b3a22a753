"""What is asked of the platform beside a git server: how large a repository is, and which files its releases have.

Source: protocol/firmware.md 7.3, without credentials in the URL (W6) and with every page of releases (W33).
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from pepeunit_gateway.firmware.github import HOST, GitHub
from pepeunit_gateway.firmware.gitlab import GitLab
from pepeunit_gateway.firmware.platform_api import PlatformApi
from pepeunit_gateway.firmware.release_files import Releases
from pepeunit_gateway.firmware.remotes import Credentials
from pepeunit_gateway.firmware.urls import parse_url
from pepeunit_gateway.firmware.web import Web

__all__ = ["PlatformClient", "Platforms"]


class PlatformClient(Protocol):
    """Questions about one repository. Both raise GitPlatformClientError, whose message says what to do."""

    async def size(self) -> int | None:
        """Return the bytes of the repository, or None where the platform does not tell."""

    async def releases(self) -> Releases:
        """Return the files of every public release by its tag, newest release first."""


class Platforms:
    """Chooses whom to ask.

    Args:
        web: the door to servers.
        clock: aware, UTC.
        github: PU_GITHUB_TOKEN_NAME and _PAT. They go to github.com and to no other server: anybody may register one
            and call it GitHub. They ask about public repositories only: anybody may name one that their owner sees.
    """

    def __init__(self, web: Web, clock: Callable[[], datetime], *, github: Credentials | None) -> None:
        self._api = PlatformApi(web, clock)
        self._github = github

    def client(
        self, platform: str, url: str, credentials: Credentials | None, *, shown_public: bool = False
    ) -> PlatformClient | None:
        """Return the questions about a repository, None where the platform (`Git`) answers none.

        Args:
            platform: the GitPlatform of the registry.
            url: as registered.
            credentials: of the registry, if it has some.
            shown_public: the repository was fetched without credentials a moment ago.
        """
        parsed = parse_url(url)
        if parsed.scheme == "file":
            return None
        if platform == "Github":
            own = self._github if shown_public and parsed.scheme == "https" and parsed.host == HOST else None
            return GitHub(self._api, parsed, credentials or own)
        return GitLab(self._api, parsed, credentials) if platform == "Gitlab" else None
