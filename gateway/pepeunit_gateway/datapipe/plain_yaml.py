"""YAML without what a short document becomes huge by: anchors, aliases, merge keys, deep nesting.

PyYAML copies the pairs of every merged mapping, and whoever walks over the result sees an alias as often as it stands
there; a chain of either doubles the work with each line. No configuration needs them, so they are refused before
anything is built.
"""

from typing import Any

import yaml

__all__ = ["MAX_DEPTH", "PlainYamlError", "load_plain_yaml"]

MAX_DEPTH = 16
"""Levels of nesting that are read; a configuration has three."""

_MAX_PROBLEM = 160
_MERGE = "tag:yaml.org,2002:merge"


class PlainYamlError(Exception):
    """The text cannot be read; `reason` is a part of a sentence that names the line where there is one."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def load_plain_yaml(document: bytes) -> Any:
    """Read one YAML document of plain types, UTF-8; the work grows with its length alone.

    Raises:
        PlainYamlError: it is no YAML, or holds what is refused here.
    """
    try:
        text = document.decode()
        _require_plain(text)
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        problem = str(error.problem)[:_MAX_PROBLEM]
        raise PlainYamlError(
            f"{problem} in line {error.problem_mark.line + 1}" if error.problem_mark else problem
        ) from None
    except (UnicodeDecodeError, yaml.reader.ReaderError):
        raise PlainYamlError("it holds bytes that are not UTF-8 or control characters") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError):
        # beside its own errors PyYAML lets through what its constructors stumble over, e.g. the date 2024-99-99
        raise PlainYamlError("it holds a date, number, character or tag that cannot be read") from None


def _require_plain(text: str) -> None:
    """Walk over the events, which come one by one: nothing is composed or built yet."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        problem = f"it is nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else _shorthand(event)
        if problem:
            line = event.start_mark.line + 1 if event.start_mark else "?"
            raise PlainYamlError(f"{problem} in line {line}")


def _shorthand(event: yaml.Event) -> str:
    """Say what to do instead of an anchor, an alias or a merge key; empty for everything else."""
    if isinstance(event, yaml.NodeEvent) and (isinstance(event, yaml.AliasEvent) or event.anchor is not None):
        return "write out what the anchor (&) or alias (*) stands for"
    if isinstance(event, yaml.ScalarEvent):
        plain, _quoted = event.implicit
        if event.tag == _MERGE or (event.value == "<<" and plain):
            return "write out what the merge key (<<) adds"
    return ""
