"""Pages of releases as structs. How much a page holds is known before an object is made of it.

A decoder runs in one piece and lets nothing else run meanwhile, and a struct takes more memory than the two bytes of
`{}`: a page of objects without number would stop the gateway for as long as it takes to make them.
"""

from typing import Annotated, TypeVar

from msgspec import Meta
from msgspec.json import Decoder

__all__ = ["MAX_FILES", "MAX_OBJECTS", "MAX_PAGE", "PAGE_SIZE", "Files", "OverfullError", "decode_page"]

T = TypeVar("T")

MAX_PAGE = 4 * 1024 * 1024
"""Bytes of an answer."""

PAGE_SIZE = 100
"""Releases of one page: the most that GitHub and GitLab give."""

MAX_OBJECTS = 25_000
"""Objects of one page. Those of GitHub and GitLab have more than 200 bytes each, so as many fill a page."""

MAX_FILES = 1_000
"""Files of one release: the most that GitHub takes."""

Files = Annotated[list[T], Meta(max_length=MAX_FILES)]
"""The files of one release."""


class OverfullError(ValueError):
    """There is more on a page than is read of one; there may be less on a smaller one."""


def decode_page(decoder: Decoder[list[T]], body: bytes) -> list[T]:
    """Return the releases of a page.

    Raises:
        OverfullError: too many objects, so nothing was made of them.
        ValueError: it is no page of releases, or has more of them than a page has.
        RecursionError: it is nested without end.
    """
    if body.count(b"{") > MAX_OBJECTS:
        raise OverfullError(f"more than {MAX_OBJECTS} objects on a page")
    page = decoder.decode(body)
    if len(page) > PAGE_SIZE:
        raise ValueError(f"more than {PAGE_SIZE} releases on a page")
    return page
