"""GitHub and GitHub Enterprise. Source: GitHub's REST API; protocol/firmware.md 7.3, all pages (W33)."""

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.json import Decoder

from pepeunit_gateway.firmware.platform_api import ApiAddress, PlatformApi, ReleasePage
from pepeunit_gateway.firmware.release_files import Releases, usable_files
from pepeunit_gateway.firmware.release_pages import Files, decode_page
from pepeunit_gateway.firmware.remotes import Credentials
from pepeunit_gateway.firmware.urls import RepositoryUrl

__all__ = ["HOST", "GitHub", "read_github_page"]

HOST = "github.com"
_API = "https://api.github.com"
_KIB = 1024


class _Repository(Struct):
    size: Annotated[int, Meta(ge=0, le=2**53)]


class _Asset(Struct, gc=False):
    name: str
    browser_download_url: str
    state: str = "uploaded"


class _Release(Struct):
    tag_name: str
    draft: bool = False
    assets: Files[_Asset] = []


_REPOSITORY = Decoder(_Repository)
_PAGE = Decoder(list[_Release])


class GitHub:
    """One repository there; its API is api.github.com, or `/api/v3` of a server of one's own."""

    def __init__(self, api: PlatformApi, url: RepositoryUrl, credentials: Credentials | None) -> None:
        self._api = api
        self._repository = f"/repos{url.path.removesuffix('.git')}"
        headers = {"Accept": "application/vnd.github.v3+json"}
        if credentials is not None:
            headers["Authorization"] = f"Bearer {credentials.pat_token}"
        base = _API if url.host == HOST else f"{url.origin}api/v3"
        self.address = ApiAddress(base, headers, has_credential=credentials is not None)

    async def size(self) -> int | None:
        """Return the bytes of the repository; the platform counts in KiB."""
        return await self._api.ask(self.address, self._repository, _read_size)

    async def releases(self) -> Releases:
        """Return the files of all releases that are public."""
        return await self._api.ask_releases(self.address, f"{self._repository}/releases", read_github_page)


def read_github_page(body: bytes) -> ReleasePage:
    """Read one page; drafts have no public tag, and a file that is still being uploaded is not there yet."""
    return [
        (
            None if release.draft else release.tag_name,
            usable_files((a.name, a.browser_download_url) for a in release.assets if a.state == "uploaded"),
        )
        for release in decode_page(_PAGE, body)
    ]


def _read_size(body: bytes) -> int:
    return _REPOSITORY.decode(body).size * _KIB
