"""Holds a page to its promises: every test that it names must exist and name the row that it stands for.

    python -m tests.support.listed_tests docs/robustness.md

A row of the page is `| W7 | what can never happen | `tests/....py::test_name` ... |`; a row may name several tests.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["problems"]

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


def _names(row: str, name: str, source: str) -> bool:
    return re.search(rf"\b{row}\b", source) is not None or f"_{row.lower()}_" in f"{name}_"


def _problems_of(row: str, tests: str, root: Path) -> Iterator[str]:
    listed = list(_TEST.finditer(tests))
    if not listed:
        yield f"{row} names no test"
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


def main(arguments: list[str]) -> int:
    found = [f"{page}: {problem}" for page in arguments for problem in problems(Path(page).read_text(), Path())]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
