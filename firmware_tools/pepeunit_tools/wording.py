"""Text that came from elsewhere, made fit for a terminal. Pure functions."""

from datetime import UTC, datetime

__all__ = ["ago", "moment", "plain", "short_commit", "shortened"]

_COMMIT_LENGTH = 8
_STEPS = ((86_400, "d"), (3600, "h"), (60, "min"))
_NAMED_TWICE = 2
"""A larger unit of time is used from two of it on: `90 s ago` says more than `1 min ago`."""


def plain(text: str) -> str:
    """Return `text` on one line: what is not printable (line ends, escape sequences) stands as its Python escape.

    Units and other people write names, values and logs; none of them may steer the terminal of who reads.
    """
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shortened(text: str, limit: int) -> str:
    """Return `text` with at most `limit` characters; a cut one ends with `…`."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def short_commit(commit: str | None) -> str:
    """Return the first 8 digits of a commit, `-` for none."""
    return plain(commit[:_COMMIT_LENGTH]) if commit else "-"


def ago(text: str | None, now: datetime) -> str:
    """Return how long before `now` a time of the API was, like `12 s ago`; what is no time stays as it is."""
    if not text:
        return "-"
    try:
        seconds = int((now - datetime.fromisoformat(text)).total_seconds())
    except (ValueError, TypeError):  # TypeError: a time without its offset
        return plain(text)
    for length, name in _STEPS:
        if seconds >= _NAMED_TWICE * length:
            return f"{seconds // length} {name} ago"
    return f"{max(seconds, 0)} s ago"  # clocks of two machines differ


def moment(text: str | None) -> str:
    """Return a time of the API to the second, in UTC; what is no time stays as it is."""
    if not text:
        return "-"
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except ValueError:
        return plain(text)
