"""A bare repository with a long history, made in one go."""

import subprocess
from pathlib import Path

__all__ = ["COMMITS", "TAGS", "make_history"]

COMMITS = 10_000
TAGS = 500
_FILES = 50
_FIRST = 1_700_000_000


def make_history(bare: Path, *, commits: int = COMMITS, tags: int = TAGS) -> str:
    """Make it, with the tags evenly spread over the older nine tenths; return the oldest commit."""
    _git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    lines = []
    for number in range(commits):
        content = f"print({number})\n"
        lines.append(
            f"commit refs/heads/main\nmark :{number + 1}\n"
            f"committer Maker <maker@example.org> {_FIRST + 60 * number} +0000\ndata 12\nnumber {number:05}"
            f"M 100644 inline file_{number % _FILES}.py\ndata {len(content)}\n{content}"
        )
    lines += [
        f"reset refs/tags/v{number}\nfrom :{1 + number * (commits * 9 // 10) // tags}\n" for number in range(tags)
    ]
    _git("-C", str(bare), "fast-import", "--quiet", stdin="\n".join(lines).encode())
    return _git("-C", str(bare), "rev-parse", "refs/tags/v0").decode().strip()


def _git(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["git", *arguments], input=stdin, check=True, capture_output=True, timeout=60).stdout
