"""All services of the registry behind one door."""

from pepeunit_gateway.registry.agents import Agents
from pepeunit_gateway.registry.audit import Audit
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.edges import Edges
from pepeunit_gateway.registry.hashing import Hashing
from pepeunit_gateway.registry.job_runs import JobRuns
from pepeunit_gateway.registry.logins import Logins
from pepeunit_gateway.registry.moves import Moves
from pepeunit_gateway.registry.node_reads import NodeReads
from pepeunit_gateway.registry.nodes import Nodes, Publish
from pepeunit_gateway.registry.outbox import Outbox
from pepeunit_gateway.registry.permissions import Permissions
from pepeunit_gateway.registry.repos import Repos
from pepeunit_gateway.registry.repositories import Repositories
from pepeunit_gateway.registry.tokens import Tokens
from pepeunit_gateway.registry.unit_files import UnitFiles
from pepeunit_gateway.registry.unit_reads import UnitReads
from pepeunit_gateway.registry.unit_tokens import UnitTokens
from pepeunit_gateway.registry.units import Units
from pepeunit_gateway.registry.updates import Updates
from pepeunit_gateway.registry.users import Users
from pepeunit_gateway.registry.verdicts import Verdicts
from pepeunit_gateway.registry.webhooks import Webhooks

__all__ = ["Registry"]


class Registry:
    """The entities and their rules. `publish` hands a message to the broker."""

    def __init__(self, context: Context, publish: Publish) -> None:
        self.context = context
        self.agents = Agents(context)
        self.audit = Audit(context)
        hashing = Hashing(context.settings.static_salt.get_secret_value())
        self.users = Users(context, hashing)
        self.logins = Logins(context, hashing)
        self.tokens = Tokens(context)
        self.updates = Updates(context)
        self.verdicts = Verdicts(context)
        self.repositories = Repositories(context)
        self.webhooks = Webhooks(context)
        self.repos = Repos(context, self.updates)
        self.units = Units(context, self.updates)
        self.unit_reads = UnitReads(context.database)
        self.moves = Moves(context)
        self.unit_files = UnitFiles(context, self.updates, self.moves)
        self.unit_tokens = UnitTokens(context)
        self.nodes = Nodes(context, publish)
        self.node_reads = NodeReads(context.database)
        self.edges = Edges(context)
        self.permissions = Permissions(context)
        self.outbox = Outbox(context)
        self.job_runs = JobRuns(context)
