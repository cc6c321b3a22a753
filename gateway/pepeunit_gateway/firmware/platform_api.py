"""Questions to the REST API of a platform: paged, conditional, bounded, and none while the platform wants none.

What was answered before is remembered with its ETag, packed, so that an unchanged answer is neither sent nor counted by
the platform again. A redirect is followed within its origin only, since the credential goes along.
"""

import asyncio
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from yarl import URL

from pepeunit_gateway.errors import GitPlatformClientError
from pepeunit_gateway.firmware.lru import Lru
from pepeunit_gateway.firmware.page_memory import PageMemory, RememberedPage
from pepeunit_gateway.firmware.platform_limits import pause_until
from pepeunit_gateway.firmware.release_files import ReleaseFile, Releases
from pepeunit_gateway.firmware.web import Answer, Web, WebError

__all__ = ["PAGE_SIZE", "ApiAddress", "PausedError", "PlatformApi", "ReleasePage"]

T = TypeVar("T")

PAGE_SIZE = 100
"""Releases of one page: the most that GitHub and GitLab give."""

ReleasePage = list[tuple[str | None, tuple[ReleaseFile, ...]]]
"""The releases of one page with their files; None for one that is not public yet."""

_QUESTION_LIMIT = 10.0
_READING_LIMIT = 120.0
_MAX_PAGE = 16 * 1024 * 1024
_MAX_PAGES = 100
_MAX_REDIRECTS = 3
_REMEMBERED = 16 * 1024 * 1024
_CREDENTIALS = 1_000
_REDIRECTS = (301, 302, 307, 308)
_OK, _NOT_MODIFIED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _SERVER_ERROR = 200, 304, 401, 403, 404, 500


class PausedError(GitPlatformClientError):
    """The platform wants no questions for now; `until` tells when it does again."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """One API and who asks it: `headers` hold the credential, if there is one, and never show in a repr."""

    base: str
    headers: Mapping[str, str] = field(repr=False)
    has_credential: bool

    @property
    def host(self) -> str:
        """For messages."""
        return URL(self.base).authority

    def key(self) -> str:
        """Tell APIs and askers apart without holding the credential."""
        return hashlib.sha256(repr((self.base, sorted(self.headers.items()))).encode()).hexdigest()


class PlatformApi:
    """Asks; one object per process, since it knows when who may ask whom again.

    Args:
        web: the door to servers.
        clock: aware, UTC.
    """

    def __init__(self, web: Web, clock: Callable[[], datetime]) -> None:
        self._web = web
        self._clock = clock
        self._pauses: Lru[str, datetime] = Lru(_CREDENTIALS)
        self._pages = PageMemory(_REMEMBERED)

    async def ask(self, api: ApiAddress, path: str, read: Callable[[bytes], T]) -> T:
        """Return what `read` makes of the answer; `read` raises ValueError where it is not what the API should say.

        Raises:
            GitPlatformClientError: no usable answer; the message says what to do.
            PausedError: the same, because the platform wants to be left alone.
        """
        return (await self._ask(api, path, read))[0]

    async def ask_releases(self, api: ApiAddress, path: str, read: Callable[[bytes], ReleasePage]) -> Releases:
        """Return the releases of all pages of `path`.

        Raises:
            GitPlatformClientError: as `ask`; and there are too many, or they take too long.
        """
        found: Releases = {}
        try:
            async with asyncio.timeout(_READING_LIMIT):
                for number in range(1, _MAX_PAGES + 1):
                    page, paging = await self._ask(api, f"{path}?per_page={PAGE_SIZE}&page={number}", read)
                    for tag, files in page:
                        if tag is not None:
                            found.setdefault(tag, files)
                    if not _goes_on(paging, len(page)):
                        return found
        except TimeoutError:
            raise GitPlatformClientError(
                f"Reading the releases from {api.host} took longer than {_READING_LIMIT:g} s; it is tried again later"
            ) from None
        raise GitPlatformClientError(
            f"{api.host} has more than {_MAX_PAGES * PAGE_SIZE} releases; delete those that no unit needs"
        )

    async def _ask(self, api: ApiAddress, path: str, read: Callable[[bytes], T]) -> tuple[T, Mapping[str, str]]:
        key = api.key()
        known = self._pages.get((key, path))
        conditional = {"If-None-Match": known.etag} if known else {}
        answer = await self._get(api, key, path, {**api.headers, **conditional})
        if answer.status == _NOT_MODIFIED and known:
            body, paging = await asyncio.to_thread(zlib.decompress, known.packed), known.paging
        elif answer.status == _OK:
            body, paging = answer.body, {name: answer.headers.get(name, "") for name in ("Link", "X-Next-Page")}
            await self._remember((key, path), answer, paging)
        else:
            raise GitPlatformClientError(_refusal(api, answer.status))
        try:
            return await asyncio.to_thread(read, body), paging
        except ValueError:  # pydantic's too; its text would show what was answered
            self._pages.forget((key, path))
            raise GitPlatformClientError(
                f"{api.host} does not answer as its API should; check that the registry names the right platform"
            ) from None

    async def _get(self, api: ApiAddress, key: str, path: str, headers: Mapping[str, str]) -> Answer:
        """Ask once, redirects followed."""
        url = URL(api.base + path, encoded=True)
        for _ in range(_MAX_REDIRECTS + 1):
            self._check_pause(api, key)
            try:
                answer = await self._web.get(str(url), headers=headers, max_bytes=_MAX_PAGE, limit=_QUESTION_LIMIT)
            except WebError as error:
                raise GitPlatformClientError(f"{api.host} gives no usable answer about releases: {error}") from None
            now = self._clock()
            until = pause_until(answer.status, answer.headers, answer.body[:10_000], now)
            if until is not None:
                self._pauses.put(key, until)
                if answer.status >= _UNAUTHORIZED:
                    self._check_pause(api, key)
            if answer.status not in _REDIRECTS:
                return answer
            url = _next_hop(api, url, answer.headers.get("Location", ""))
        raise GitPlatformClientError(f"{api.host} redirects again and again; register the repository's final URL")

    def _check_pause(self, api: ApiAddress, key: str) -> None:
        until = self._pauses.get(key)
        if until is None or until <= self._clock():
            return
        more = "" if api.has_credential else "; a token allows more questions"
        raise PausedError(
            f"{api.host} takes no more questions until {until:%Y-%m-%d %H:%M:%S} UTC; what was known stays, and it is "
            f"asked again then{more}",
            until,
        )

    async def _remember(self, key: tuple[str, str], answer: Answer, paging: Mapping[str, str]) -> None:
        etag = answer.headers.get("ETag", "")
        if etag:
            packed = await asyncio.to_thread(zlib.compress, answer.body, 1)
            self._pages.put(key, RememberedPage(etag, packed, paging))


def _goes_on(paging: Mapping[str, str], count: int) -> bool:
    """Tell whether there is a next page: GitLab numbers it, GitHub links to it, and a short page is the last."""
    if paging["X-Next-Page"] or 'rel="next"' in paging["Link"]:
        return count > 0
    return not paging["Link"] and count >= PAGE_SIZE


def _next_hop(api: ApiAddress, url: URL, location: str) -> URL:
    try:
        target = url.join(URL(location, encoded=True))
        if location and target.origin() == url.origin():
            return target
    except ValueError:
        pass
    raise GitPlatformClientError(f"{api.host} redirects to another place; register the repository's final URL")


def _refusal(api: ApiAddress, status: int) -> str:
    """Say what an answer means; nothing of its body is repeated, which may echo a credential."""
    own = "set credentials that may" if not api.has_credential else "the credentials must be ones that may"
    if status == _UNAUTHORIZED:
        return (
            f"{api.host} refuses the token: Invalid Credentials; set credentials that are valid and may read releases"
        )
    if status == _FORBIDDEN:
        return f"{api.host} does not let its releases be read; {own} read them"
    if status == _NOT_FOUND:
        return f"{api.host} knows no such repository; check its URL and platform, and if it is private, {own} read it"
    if status >= _SERVER_ERROR:
        return f"{api.host} answers with an error of its own ({status}); it is asked again later"
    return f"{api.host} answers {status}, which is not expected; check that the registry names the right platform"
