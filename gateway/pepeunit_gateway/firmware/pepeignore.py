"""What a .pepeignore leaves out of archives: lines in the syntax of .gitignore, whoever wrote them.

The file comes from a repository, so its patterns may be made to be slow. Each becomes a regular expression that never
tries the same place twice: everything up to a star is an atomic group, because its first match is as good as any later
one. What is left is bounded by the size of the path times that of the pattern; whoever asks can give up between groups
of a few lines, each of which takes milliseconds at most.
Source: protocol/firmware.md 7.6; the manual page gitignore(5).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pepeunit_gateway.firmware.refusals import UnfitError
from pepeunit_gateway.firmware.thread_work import Check

__all__ = ["PEPEIGNORE", "PepeIgnore", "parse_pepeignore"]

PEPEIGNORE = ".pepeignore"
_MAX_LINES = 1_000
_MAX_LINE = 256
_MAX_PATTERNS = 16 * 1024
_GROUP = 1024  # characters of regular expressions that are tried in one go, which nothing can interrupt
_ANY = "[^/]*"
_FOLDER = "[^/]+/"
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "digit": "0-9",
    "lower": "a-z",
    "punct": "!-.:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}

_Match = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class _Rule:
    """One line: does it bring back, is it for folders only, does it look at the last name alone; its expression."""

    brings_back: bool
    folders_only: bool
    name_only: bool
    regex: str


@dataclass(frozen=True, slots=True)
class _Run:
    """A few neighbouring rules of one effect, joined: tried on the last name and on the whole path."""

    ignores: bool
    name: _Match
    path: _Match


class PepeIgnore:
    """Tells of one path whether the lines ignore it; folders above it are not looked at."""

    def __init__(self, rules: Sequence[_Rule]) -> None:
        self._files = _runs([rule for rule in rules if not rule.folders_only])
        self._folders = _runs(rules)

    def ignores(self, path: str, *, is_dir: bool, check: Check = lambda: None) -> bool:
        """Let the last line that matches decide.

        Args:
            path: relative, without a slash at its end.
            is_dir: whether it is a folder.
            check: called before each group of lines; what it raises ends the work.
        """
        name = path.rpartition("/")[2]
        for run in self._folders if is_dir else self._files:
            check()
            if run.name(name) or run.path(path):
                return run.ignores
        return False


def parse_pepeignore(data: bytes | None) -> PepeIgnore:
    """Read a .pepeignore; none of it ignores nothing.

    Raises:
        UnfitError: not UTF-8, over 1,000 lines, a line over 256 characters or without meaning, or patterns of over
            16,384 characters together.
    """
    try:
        text = (data or b"").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnfitError(f"{PEPEIGNORE} is not UTF-8 text; save it as UTF-8") from error
    lines = text.removesuffix("\n").split("\n")
    if len(lines) > _MAX_LINES:
        raise UnfitError(f"{PEPEIGNORE} has {len(lines)} lines; at most {_MAX_LINES}")
    rules: list[_Rule] = []
    left = _MAX_PATTERNS
    for number, line in enumerate(lines, 1):
        if len(line) > _MAX_LINE:
            raise UnfitError(f"{PEPEIGNORE}, line {number} has {len(line)} characters; at most {_MAX_LINE}")
        try:
            read = _rule(line.removesuffix("\r"))
        except ValueError as error:
            raise UnfitError(f"{PEPEIGNORE}, line {number}: {line[:80]!r} is no pattern; correct it") from error
        left -= len(line) if read else 0
        if left < 0:
            raise UnfitError(
                f"{PEPEIGNORE} has patterns of more than {_MAX_PATTERNS} characters together; write fewer or shorter "
                "lines, such as one for a whole folder"
            )
        rules += read
    return PepeIgnore(rules)


def _rule(line: str) -> list[_Rule]:
    """Read one line; nothing for an empty one and a remark."""
    if line.startswith("#"):
        return []
    text = re.sub(r"(?<!\\)((?:\\\\)*) +$", r"\1", line)
    if not text:
        return []
    brings_back = text.startswith("!")
    text = text.removeprefix("!")
    folders_only = text.endswith("/")
    text = text.removesuffix("/")
    if not text.strip("/"):
        raise ValueError(line)
    name_only = "/" not in text
    regex = _segment(text) if name_only else _path(text.removeprefix("/").split("/"))
    return [_Rule(brings_back, folders_only, name_only, regex)]


def _path(segments: Sequence[str]) -> str:
    """Write a path with its folders; `**` stands for any number of them."""
    groups: list[str] = [""]
    for number, segment in enumerate(segments):
        if segment != "**":
            groups[-1] += _segment(segment) + ("/" if number < len(segments) - 1 else "")
        elif groups[-1] or len(groups) == 1:
            groups.append("")
    first, *others = groups
    if not others:
        return first
    between = "".join(f"(?>(?:{_FOLDER})*?{group})" for group in others[:-1])
    return first + between + (f"(?:{_FOLDER})*{others[-1]}" if others[-1] else ".+")


def _segment(text: str) -> str:
    """Write one name of a path."""
    chunks = [""]
    position = 0
    while position < len(text):
        if text[position] == "*":
            if chunks[-1] or len(chunks) == 1:
                chunks.append("")
            position += 1
        else:
            written, position = _symbol(text, position)
            chunks[-1] += written
    first, *others = chunks
    if not others:
        return first
    return first + "".join(f"(?>{_ANY}?{chunk})" for chunk in others[:-1]) + _ANY + others[-1]


def _symbol(text: str, start: int) -> tuple[str, int]:
    """Write what stands for one character, and tell where the next begins."""
    if text[start] == "?":
        return "[^/]", start + 1
    if text[start] == "[":
        return _bracket(text, start + 1)
    if text[start] == "\\":
        start += 1
        if start == len(text):
            raise ValueError(text)
    return re.escape(text[start]), start + 1


def _bracket(text: str, start: int) -> tuple[str, int]:
    """Write a set such as `[a-z]`, `[!0-9_]` or `[[:digit:]]`."""
    negated = text[start : start + 1] in {"!", "^"}
    position = start + negated
    items: list[str] = []
    while position == start + negated or text[position : position + 1] != "]":
        item, position = _item(text, position)
        items.append(item)
    body = "".join(items)
    if negated:
        return f"[^/{body}]", position + 1
    return (f"(?!/)[{body}]" if body else "(?!)"), position + 1


def _item(text: str, position: int) -> tuple[str, int]:
    named = re.compile(r"\[:(\w+):\]").match(text, position)
    if named:
        if named[1] not in _CLASSES:
            raise ValueError(text)
        return _CLASSES[named[1]], named.end()
    low, position = _literal(text, position)
    if text[position : position + 1] != "-" or text[position + 1 : position + 2] in {"]", ""}:
        return re.escape(low), position
    high, position = _literal(text, position + 1)
    if high < low:  # matches nothing, as in git
        return "", position
    return f"{re.escape(low)}-{re.escape(high)}", position


def _literal(text: str, position: int) -> tuple[str, int]:
    if text[position : position + 1] == "\\":
        position += 1
    if position >= len(text):
        raise ValueError(text)
    return text[position], position + 1


def _runs(rules: Sequence[_Rule]) -> list[_Run]:
    """Join what has one effect, a few lines each; the last lines come first."""
    return [
        _Run(not brings_back, *_joined(group))
        for brings_back, run in groupby(reversed(rules), key=lambda rule: rule.brings_back)
        for group in _groups(run)
    ]


def _groups(rules: Iterable[_Rule]) -> Iterator[list[_Rule]]:
    """Cut into groups whose expressions are short together."""
    group: list[_Rule] = []
    size = 0
    for rule in rules:
        size += len(rule.regex)
        if group and size > _GROUP:
            yield group
            group, size = [], len(rule.regex)
        group.append(rule)
    yield group


def _joined(rules: Sequence[_Rule]) -> tuple[_Match, _Match]:
    names = [rule.regex for rule in rules if rule.name_only]
    paths = [rule.regex for rule in rules if not rule.name_only]
    return _matcher(names), _matcher(paths)


def _matcher(expressions: Sequence[str]) -> _Match:
    return re.compile("|".join(expressions) if expressions else "(?!)", re.DOTALL).fullmatch
