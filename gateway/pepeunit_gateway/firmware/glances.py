"""One look at a remote before anything is fetched: most of the time nothing has changed, and then git is not needed.

Over HTTP it is one question on a connection that is kept; for file:// one git process, the one that serves fetches too.
"""

import asyncio
import os
import re
from dataclasses import dataclass

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.advertised import AdvertisementError, parse_http, parse_list
from pepeunit_gateway.firmware.git import Ceiling, git_environment, run_git
from pepeunit_gateway.firmware.refs import Refs
from pepeunit_gateway.firmware.remotes import Remote
from pepeunit_gateway.firmware.urls import RepositoryUrl
from pepeunit_gateway.firmware.web import Web, WebError

__all__ = ["Glance", "glance", "is_open"]

_MAX_BYTES = 8 * 1024 * 1024
_LONG = 64 * 1024  # a longer list is read in a thread
_TYPE = "application/x-git-upload-pack-advertisement"
_OK = 200
_CLOSED = frozenset({301, 302, 303, 307, 308, 401, 403, 404})  # some lead to a page where one logs in
_PLAIN_FILE = re.compile(rb"[0-9a-f]{40}\t")  # how the list begins that a plain file server has


@dataclass(frozen=True, slots=True)
class Glance:
    """What was seen: whether the server answers HTTP, and its branches and tags.

    `refs` is None where anything was odd; an ordinary fetch finds out what.
    """

    answered: bool
    refs: Refs | None


async def glance(web: Web, remote: Remote, *, limit: float, ceiling: Ceiling) -> Glance:
    """Look once; whatever goes wrong is no error here. `limit` is in seconds, `ceiling` for the git process."""
    if remote.url.scheme == "file":
        return Glance(answered=False, refs=await _look_at_folder(remote, limit, ceiling))
    headers = {"Pragma": "no-cache", "Cache-Control": "no-cache"}
    if remote.authorization is not None:
        headers["Authorization"] = remote.authorization
    try:
        answer = await web.get(_place(remote.url), headers=headers, max_bytes=_MAX_BYTES, limit=limit)
    except WebError:
        return Glance(answered=False, refs=None)
    if answer.status != _OK or answer.headers.get("Content-Type") != _TYPE:
        return Glance(answered=True, refs=None)
    return Glance(answered=True, refs=await _read(answer.body, is_http=True))


async def is_open(web: Web, url: RepositoryUrl, *, limit: float) -> bool | None:
    """Tell whether anybody may read a repository, without credentials; None where the answer says nothing about it.

    A file:// repository is open: nothing asks for credentials there. `limit` is in seconds.
    """
    if url.scheme == "file":
        return True
    try:
        answer = await web.get(_place(url), max_bytes=_MAX_BYTES, limit=limit)
    except WebError:
        return None
    if answer.status in _CLOSED:
        return False
    if answer.status != _OK:
        return None
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind == _TYPE or _PLAIN_FILE.match(answer.body) is not None


def _place(url: RepositoryUrl) -> str:
    return f"{url.text}/info/refs?service=git-upload-pack"


async def _look_at_folder(remote: Remote, limit: float, ceiling: Ceiling) -> Refs | None:
    environment = git_environment(
        search_path=os.environ.get("PATH", os.defpath),
        config=(("safe.directory", "*"),),  # a file:// repository may belong to somebody else
    )
    arguments = ("upload-pack", "--strict", "--http-backend-info-refs", "--end-of-options", remote.url.path)
    try:
        output = await run_git(arguments, environment=environment, limit=limit, ceiling=ceiling, max_output=_MAX_BYTES)
    except (TimeoutError, GitRepoError):
        return None
    return None if output.code else await _read(output.stdout, is_http=False)


async def _read(data: bytes, *, is_http: bool) -> Refs | None:
    parse = parse_http if is_http else parse_list
    try:
        return parse(data) if len(data) <= _LONG else await asyncio.to_thread(parse, data)
    except AdvertisementError:
        return None
