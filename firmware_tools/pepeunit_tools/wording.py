"""Text that came from elsewhere, made fit for a terminal. Pure functions."""

from datetime import UTC, datetime

__all__ = ["moment", "plain", "short_commit", "shortened"]

_COMMIT_LENGTH = 8


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


def moment(text: str | None) -> str:
    """Return a time of the API to the second, in UTC; what is no time stays as it is."""
    if not text:
        return "-"
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except ValueError:
        return plain(text)
