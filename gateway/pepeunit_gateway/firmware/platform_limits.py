"""How long a platform's API wants to be left alone: a decision about its headers and the clock, and nothing else.

GitHub and GitLab say it alike: `Retry-After`, or that nothing remains until a reset, GitHub with the prefix `X-`.
Source: the rate limits of the REST APIs of GitHub and GitLab.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

__all__ = ["LONGEST_PAUSE", "pause_until"]

LONGEST_PAUSE = timedelta(hours=24)
"""A reset later than this is an error of the server; nobody is left alone for longer."""

_UNTOLD = timedelta(minutes=1)
_REFUSALS = (403, 429)
_RETRY_LATER = (*_REFUSALS, 503)
_TOO_MANY = 429
_PREFIXES = ("X-RateLimit-", "RateLimit-")


def pause_until(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> datetime | None:
    """Return until when nothing more may be asked; None where it may go on.

    An answer may be good and the last one for a while: then its status is below 400 and the result is a time.

    Args:
        status: of the answer.
        headers: of the answer, looked up without case.
        body: of the answer; a refusal may say only there that there were too many questions.
        now: aware, UTC.
    """
    told = _retry_after(headers, now) if status in _RETRY_LATER else None
    if told is None:
        told = _reset(headers)
    if told is None and (status == _TOO_MANY or (status in _REFUSALS and b"rate limit" in body.lower())):
        told = now + _UNTOLD
    if told is None or told <= now:
        return now + _UNTOLD if status == _TOO_MANY else None
    return min(told, now + LONGEST_PAUSE)


def _retry_after(headers: Mapping[str, str], now: datetime) -> datetime | None:
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return now + min(timedelta(seconds=int(text[:9])), LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _reset(headers: Mapping[str, str]) -> datetime | None:
    """Return the reset of a quota of which nothing remains."""
    for prefix in _PREFIXES:
        reset = headers.get(f"{prefix}Reset", "").strip()
        if headers.get(f"{prefix}Remaining", "").strip() == "0" and reset.isascii() and reset.isdigit():
            return datetime.fromtimestamp(min(int(reset[:12]), 32_503_680_000), UTC)  # at most the year 3000
    return None
