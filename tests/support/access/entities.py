"""The whole table, in the order of docs/access.md."""

from tests.support.access.edges import EDGES
from tests.support.access.nodes import NODES
from tests.support.access.permissions import PERMISSIONS
from tests.support.access.pipes import PIPES
from tests.support.access.platform import PAGES, PLATFORM
from tests.support.access.repos import REPOS
from tests.support.access.repositories import REPOSITORIES
from tests.support.access.unit_files import UNIT_FILES
from tests.support.access.units import UNITS
from tests.support.access.users import USERS

__all__ = ["ENTITIES"]

ENTITIES = (USERS, REPOSITORIES, REPOS, UNITS, UNIT_FILES, NODES, EDGES, PIPES, PERMISSIONS, PLATFORM, PAGES)
