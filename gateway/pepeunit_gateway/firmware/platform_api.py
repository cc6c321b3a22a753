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
from typing import Generic, TypeVar

from yarl import URL

from pepeunit_gateway.errors import GitPlatformClientError
from pepeunit_gateway.firmware.lru import Lru
from pepeunit_gateway.firmware.page_memory import PageMemory, RememberedPage
from pepeunit_gateway.firmware.platform_limits import pause_until
from pepeunit_gateway.firmware.release_files import MOST_KEPT, ReleaseFile, Releases
from pepeunit_gateway.firmware.release_pages import MAX_PAGE, PAGE_SIZE, OverfullError
from pepeunit_gateway.firmware.web import Answer, TooLongError, Web, WebError

__all__ = ["ApiAddress", "PausedError", "PlatformApi", "ReleasePage"]

T = TypeVar("T")

ReleasePage = list[tuple[str | None, tuple[ReleaseFile, ...]]]
"""The releases of one page with their files; None for one that is not public yet."""

_QUESTION_LIMIT = 10.0
_READING_LIMIT = 120.0
_MAX_PAGES = 100
_SMALLER = 10  # times; a page that holds too much is asked for in parts, down to single releases
_MAX_READ = 64 * 1024 * 1024
_MAX_REDIRECTS = 3
_REMEMBERED = 16 * 1024 * 1024
_REMEMBERED_PAGES = 4_000
_CREDENTIALS = 1_000
_REDIRECTS = (301, 302, 307, 308)
_OK, _NOT_MODIFIED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _SERVER_ERROR = 200, 304, 401, 403, 404, 500


class PausedError(GitPlatformClientError):
    """The platform wants no questions for now; `until` tells when it does again."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class _OverfullError(GitPlatformClientError):
    """More was answered than is read of one answer."""


@dataclass(frozen=True, slots=True)
class _Reply(Generic[T]):
    """What an answer says; `goes_on`: it names a next page, None where it does not tell; `size`: its bytes."""

    value: T
    goes_on: bool | None
    size: int


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
        self._pages = PageMemory(_REMEMBERED, _REMEMBERED_PAGES)

    async def ask(self, api: ApiAddress, path: str, read: Callable[[bytes], T]) -> T:
        """Return what `read` makes of the answer; `read` raises ValueError where it is not what the API should say.

        Raises:
            GitPlatformClientError: no usable answer; the message says what to do.
            PausedError: the same, because the platform wants to be left alone.
        """
        return (await self._ask(api, path, read)).value

    async def ask_releases(self, api: ApiAddress, path: str, read: Callable[[bytes], ReleasePage]) -> Releases:
        """Return the releases of all pages of `path`, the newest first, and not many more than can be kept.

        Raises:
            GitPlatformClientError: as `ask`; and there are too many, or they take too long.
        """
        try:
            async with asyncio.timeout(_READING_LIMIT):
                return await self._read_pages(api, path, read)
        except TimeoutError:
            raise GitPlatformClientError(
                f"Reading the releases from {api.host} took longer than {_READING_LIMIT:g} s; it is tried again later"
            ) from None

    async def _read_pages(self, api: ApiAddress, path: str, read: Callable[[bytes], ReleasePage]) -> Releases:
        found: Releases = {}
        size, done, kept, heard = PAGE_SIZE, 0, 0, 0
        for _ in range(_MAX_PAGES):
            try:
                reply = await self._ask(api, f"{path}?per_page={size}&page={done // size + 1}", read)
            except _OverfullError:
                if size == 1:
                    raise
                size //= _SMALLER
                continue
            for tag, files in reply.value:
                if tag is not None and tag not in found:
                    found[tag] = files
                    kept += len(tag) + sum(len(file.name) + len(file.link) for file in files)
            done += size
            heard += reply.size
            if kept > MOST_KEPT or not _goes_on(reply, size):
                return found
            if heard > _MAX_READ:
                break
        raise GitPlatformClientError(
            f"{api.host} has more than {done} releases, which is too much; delete those that no unit needs"
        )

    async def _ask(self, api: ApiAddress, path: str, read: Callable[[bytes], T]) -> _Reply[T]:
        key = api.key()
        known = self._pages.get((key, path))
        conditional = {"If-None-Match": known.etag} if known else {}
        answer = await self._get(api, key, path, {**api.headers, **conditional})
        if answer.status == _NOT_MODIFIED and known:
            body, goes_on = await asyncio.to_thread(zlib.decompress, known.packed), known.goes_on
            return _Reply(await self._read(api, read, body), goes_on, len(body))
        if answer.status != _OK:
            raise GitPlatformClientError(_refusal(api, answer.status))
        self._pages.forget((key, path))
        reply = _Reply(await self._read(api, read, answer.body), _told_next(answer.headers), len(answer.body))
        etag = answer.headers.get("ETag", "")
        if etag:
            packed = await asyncio.to_thread(zlib.compress, answer.body, 1)
            self._pages.put((key, path), RememberedPage(etag, packed, reply.goes_on))
        return reply

    async def _read(self, api: ApiAddress, read: Callable[[bytes], T], body: bytes) -> T:
        try:
            return await asyncio.to_thread(read, body)
        except OverfullError as error:
            raise _OverfullError(
                f"{api.host} says too much about its releases: {error}; delete those that no unit needs"
            ) from None
        except (ValueError, RecursionError):  # the text of msgspec's would show what was answered
            raise GitPlatformClientError(
                f"{api.host} does not answer as its API should; check that the registry names the right platform"
            ) from None

    async def _get(self, api: ApiAddress, key: str, path: str, headers: Mapping[str, str]) -> Answer:
        """Ask once, redirects followed."""
        url = URL(api.base + path, encoded=True)
        for _ in range(_MAX_REDIRECTS + 1):
            self._check_pause(api, key)
            try:
                answer = await self._web.get(str(url), headers=headers, max_bytes=MAX_PAGE, limit=_QUESTION_LIMIT)
            except TooLongError as error:
                raise _OverfullError(f"{api.host} says too much about its releases: {error}") from None
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


def _told_next(headers: Mapping[str, str]) -> bool | None:
    """Tell whether there is a next page: GitLab numbers it, GitHub links to it; None where neither is done."""
    number, link = headers.get("X-Next-Page"), headers.get("Link")
    if number is not None:
        return bool(number)
    return 'rel="next"' in link if link else None


def _goes_on(reply: _Reply[ReleasePage], size: int) -> bool:
    """Tell whether to ask for the next page: where nothing is told of one, a short page is the last."""
    count = len(reply.value)
    return count >= size if reply.goes_on is None else reply.goes_on and count > 0


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
