"""The corpus: every hostile repository by its name."""

from tests.support.hostile_bombs import BOMBS
from tests.support.hostile_case import Case
from tests.support.hostile_commits import COMMITS, REFS
from tests.support.hostile_trees import TREES

__all__ = ["REPOSITORIES"]

REPOSITORIES: dict[str, Case] = {
    f"{kind}: {name}": case
    for kind, cases in (("tree", TREES), ("commit", COMMITS), ("refs", REFS), ("bomb", BOMBS))
    for name, case in cases.items()
}
