"""GitLab, anywhere. Source: GitLab's REST API v4; protocol/firmware.md 7.3."""

from typing import Annotated
from urllib.parse import quote, unquote

from msgspec import Meta, Struct, field
from msgspec.json import Decoder

from pepeunit_gateway.firmware.platform_api import ApiAddress, PlatformApi, ReleasePage
from pepeunit_gateway.firmware.release_files import Releases, usable_files
from pepeunit_gateway.firmware.release_pages import Files, decode_page
from pepeunit_gateway.firmware.remotes import Credentials
from pepeunit_gateway.firmware.urls import RepositoryUrl

__all__ = ["GitLab", "read_gitlab_page"]


class _Statistics(Struct):
    repository_size: Annotated[int, Meta(ge=0, le=2**53)]


class _Project(Struct):
    """Statistics are told only to those who may read the repository with a token."""

    id: Annotated[int, Meta(ge=0, le=2**53)]
    statistics: _Statistics | None = None


class _Source(Struct, gc=False):
    format: str
    url: str


class _Link(Struct, gc=False):
    name: str
    url: str


class _Assets(Struct):
    sources: Files[_Source] = []
    links: Files[_Link] = []


class _Release(Struct):
    """Guests of a private project are not told the tag."""

    tag_name: str | None = None
    assets: _Assets = field(default_factory=_Assets)


_PROJECT = Decoder(_Project)
_PAGE = Decoder(list[_Release])


class GitLab:
    """One project; it is found by its path, of any depth, and then known by its number."""

    def __init__(self, api: PlatformApi, url: RepositoryUrl, credentials: Credentials | None) -> None:
        self._api = api
        path = unquote(url.path.strip("/").removesuffix(".git"))
        self._lookup = f"/projects/{quote(path, safe='')}?statistics=true"
        headers = {} if credentials is None else {"PRIVATE-TOKEN": credentials.pat_token}
        self.address = ApiAddress(f"{url.origin}api/v4", headers, has_credential=credentials is not None)

    async def size(self) -> int | None:
        """Return the bytes of the repository, or None to who has no token."""
        statistics = (await self._project()).statistics
        return None if statistics is None else statistics.repository_size

    async def releases(self) -> Releases:
        """Return the files of all releases: packed sources by their format, then links by their name."""
        project = await self._project()
        return await self._api.ask_releases(self.address, f"/projects/{project.id}/releases", read_gitlab_page)

    async def _project(self) -> _Project:
        return await self._api.ask(self.address, self._lookup, _PROJECT.decode)


def read_gitlab_page(body: bytes) -> ReleasePage:
    """Read one page."""
    return [(release.tag_name, usable_files(_files(release.assets))) for release in decode_page(_PAGE, body)]


def _files(assets: _Assets) -> list[tuple[str, str]]:
    return [(source.format, source.url) for source in assets.sources] + [(link.name, link.url) for link in assets.links]
