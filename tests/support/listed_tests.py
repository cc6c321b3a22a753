"""Holds a page to its promises: every test that it names must exist and name the row that it stands for.

Of a W row one test does so with its own name. And every defect that is known is a row, or not claimed yet.

    python -m tests.support.listed_tests docs/robustness.md

A row of the page is `| W7 | what can never happen | `tests/....py::test_name` ... |`; a row may name several tests.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["KNOWN", "forgotten", "problems"]

KNOWN = [f"{kind}{number}" for kind, last in (("W", 61), ("B", 21), ("S", 22)) for number in range(1, last + 1)]
"""Every row of protocol/pitfalls.md."""

_ROW = re.compile(r"^\| (?P<row>[A-Z]+\d+) \|(?P<text>[^|]*)\|(?P<tests>.*)\|$")
_TEST = re.compile(r"`(?P<path>[^`:]+\.py)::(?P<name>\w+)`")


def _functions(path: Path) -> dict[str, str]:
    """Return the source of every test of a module by its name, decorators and docstring included."""
    source = path.read_text()
    lines = source.splitlines()
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found


def _carries(row: str, name: str) -> bool:
    return f"_{row.lower()}_" in f"{name}_"


def _names(row: str, name: str, source: str) -> bool:
    return re.search(rf"\b{row}\b", source) is not None or _carries(row, name)


def _problems_of(row: str, tests: str, root: Path) -> Iterator[str]:
    listed = list(_TEST.finditer(tests))
    names = [match["name"] for match in listed]
    if not listed:
        yield f"{row} names no test"
    elif row.startswith("W") and not any(_carries(row, name) for name in names):
        yield f"{row} is in the name of none of its tests; call one test_{row.lower()}_..."
    if len({match[0] for match in listed}) < len(listed):
        yield f"{row} names a test twice"
    for match in listed:
        path, name = root / match["path"], match["name"]
        functions = _functions(path) if path.is_file() else {}
        if name not in functions:
            yield f"{row}: there is no {match['path']}::{name}"
        elif not _names(row, name, functions[name]):
            yield f"{row}: {match['path']}::{name} does not name {row} in its name, docstring or comments"


def problems(page: str, root: Path) -> list[str]:
    """Return what is wrong with `page`, whose paths are relative to `root`; nothing where every promise is kept."""
    found: list[str] = []
    seen: set[str] = set()
    for line in page.splitlines():
        match = _ROW.match(line)
        if match is None:
            continue
        row = match["row"]
        if row in seen:
            found.append(f"{row} stands there twice")
        seen.add(row)
        if not match["text"].strip():
            found.append(f"{row} does not say what can never happen")
        found.extend(_problems_of(row, match["tests"], root))
    if not seen:
        found.append("the page has no rows")
    return found


def _named(text: str) -> set[str]:
    """Return the rows that a text names, each by itself or as in `S13 to S16`."""
    found = set(re.findall(r"\b[A-Z]\d+\b", text))
    for kind, first, last in re.findall(r"\b([A-Z])(\d+) to \1(\d+)\b", text):
        found |= {f"{kind}{number}" for number in range(int(first), int(last) + 1)}
    return found


def forgotten(page: str, known: Iterable[str]) -> list[str]:
    """Return what is wrong because a known row is neither in a table of `page` nor under "Not claimed yet"."""
    rows = {match["row"] for match in map(_ROW.match, page.splitlines()) if match}
    told = rows | _named(page.partition("\n## Not claimed yet\n")[2])
    return [f"{row} is neither a row nor named under Not claimed yet" for row in known if row not in told]


def _all_problems(path: str) -> list[str]:
    page = Path(path).read_text()
    return problems(page, Path()) + forgotten(page, KNOWN)


def main(arguments: list[str]) -> int:
    found = [f"{path}: {problem}" for path in arguments for problem in _all_problems(path)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
