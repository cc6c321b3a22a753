"""The tables of the contract, whose names and columns are kept; columns of ours are added beside them.

Source: protocol/entities.md 1.1-1.9, decisions.md 14 and 25; W31 (unique in the database), W46 (foreign keys indexed).
Columns marked "ours" do not exist in the contract; tables that do not are in own_tables.py.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from pepeunit_gateway.storage.columns import created, key, metadata, reference, updated
from pepeunit_gateway.storage.times import UtcDateTime

__all__ = [
    "aggregation_entry",
    "dashboard_panels",
    "dashboards",
    "mtm_panels_unit_nodes",
    "n_last_entry",
    "permissions",
    "repos",
    "repository_registry",
    "unit_logs",
    "units",
    "units_nodes",
    "units_nodes_edges",
    "users",
    "window_entry",
]

users = Table(
    "users",
    metadata,
    key(),
    Column("role", String, nullable=False),
    Column("status", String, nullable=False),
    Column("login", String, nullable=False, unique=True),
    Column("telegram_chat_id", String, unique=True),
    Column("hashed_password", String, nullable=False),
    Column("cipher_dynamic_salt", String, nullable=False),
    Column("grafana_org_name", Uuid, nullable=False),
    Column("grafana_org_id", String),
    created(),
    Column("token_generation", Integer, nullable=False, server_default=text("0")),  # ours, decisions.md 3
)

repository_registry = Table(
    "repository_registry",
    metadata,
    key(),
    Column("platform", String, nullable=False),
    Column("repository_url", String, nullable=False, unique=True),
    Column("is_public_repository", Boolean, nullable=False, server_default=text("true")),
    Column("cipher_credentials_private_repository", String),
    Column("releases_data", String),
    Column("local_repository_size", BigInteger, nullable=False, server_default=text("0")),
    Column("sync_status", String),
    Column("sync_error", String),
    Column("sync_last_datetime", UtcDateTime),
    created(),
    updated(),
    reference("creator_uuid", "users", ondelete="SET NULL"),
    Column("releases_datetime", UtcDateTime),  # ours: when the platform was asked for releases_data
    Column("releases_due_datetime", UtcDateTime),  # ours: when they are asked for again before their turn
    Column("asked_datetime", UtcDateTime),  # ours: when somebody asked for a fetch last
    Column("cipher_webhook_secret", String),  # ours: what pushes are signed with
    # ours: a fingerprint of the branches and tags that a gateway fetched last, and how many such states there were
    Column("refs_number", BigInteger, nullable=False, server_default=text("0")),
    Column("refs_key", String),
)

repos = Table(
    "repos",
    metadata,
    key(),
    Column("visibility_level", String, nullable=False, server_default="Public"),
    Column("name", String, nullable=False, unique=True),
    created(),
    updated(),
    Column("default_branch", String),
    Column("is_compilable_repo", Boolean, nullable=False, server_default=text("false")),
    Column("is_auto_update_repo", Boolean, nullable=False, server_default=text("true")),
    Column("default_commit", String),
    Column("is_only_tag_update", Boolean, nullable=False, server_default=text("false")),
    reference("creator_uuid", "users"),
    reference("repository_registry_uuid", "repository_registry", nullable=False),
)

units = Table(
    "units",
    metadata,
    key(),
    Column("visibility_level", String, nullable=False, server_default="Public"),
    Column("name", String, nullable=False, unique=True),
    created(),
    updated(),
    Column("is_auto_update_from_repo_unit", Boolean, nullable=False, server_default=text("true")),
    Column("target_firmware_platform", String),
    Column("repo_branch", String),
    Column("repo_commit", String),
    Column("unit_state_dict", String),
    Column("current_commit_version", String),
    Column("cipher_env_dict", String),
    Column("cipher_state_storage", String),
    Column("firmware_update_status", String),
    Column("firmware_update_error", String),
    Column("last_firmware_update_datetime", UtcDateTime),
    reference("creator_uuid", "users"),
    reference("repo_uuid", "repos"),
    Column("token_generation", Integer, nullable=False, server_default=text("0")),  # ours, decisions.md 3
    Column("synced_commit", String),  # ours: the commit whose schema the nodes follow (W23)
    Column("told_domain", String),  # ours: the PU_DOMAIN of its schema.json where that is not the present one
    Index(None, "create_datetime"),  # the order of lists
    Index(None, "uuid", "visibility_level", "creator_uuid"),  # counts what an agent sees
)

units_nodes = Table(
    "units_nodes",
    metadata,
    key(),
    Column("type", String, nullable=False),
    Column("visibility_level", String, nullable=False, server_default="Public"),
    Column("is_rewritable_input", Boolean, nullable=False, server_default=text("false")),
    Column("max_connections", Integer, nullable=False, server_default=text("10")),
    Column("topic_name", String, nullable=False),
    created(),
    updated(),
    Column("state", String),
    Column("is_data_pipe_active", Boolean, nullable=False, server_default=text("false")),
    Column("data_pipe_yml", String),
    Column("data_pipe_status", String, server_default="Inactive"),
    Column("data_pipe_error", String),
    reference("creator_uuid", "users"),
    Column("unit_uuid", Uuid, ForeignKey("units.uuid", ondelete="CASCADE")),  # the unique index below starts with it
    UniqueConstraint("unit_uuid", "type", "topic_name"),
    Index(None, "create_datetime"),  # the order of lists
    Index(
        None, "unit_uuid", "visibility_level", "creator_uuid", "uuid"
    ),  # tells whether an agent sees a node of a unit
)

units_nodes_edges = Table(
    "units_nodes_edges",
    metadata,
    key(),
    # the unique index below starts with the output
    Column("node_output_uuid", Uuid, ForeignKey("units_nodes.uuid", ondelete="CASCADE"), nullable=False),
    reference("node_input_uuid", "units_nodes", nullable=False),
    reference("creator_uuid", "users"),
    UniqueConstraint("node_output_uuid", "node_input_uuid"),
)

permissions = Table(
    "permissions",
    metadata,
    key(),
    Column("agent_type", String, nullable=False),
    reference("agent_user_uuid", "users"),
    reference("agent_unit_uuid", "units"),
    Column("resource_type", String, nullable=False),
    reference("resource_repo_uuid", "repos"),
    reference("resource_unit_uuid", "units", index=False),
    reference("resource_unit_node_uuid", "units_nodes", index=False),
    Index(None, "resource_unit_uuid", "agent_user_uuid"),  # tells whether a user sees a unit
    Index(None, "resource_unit_node_uuid", "agent_user_uuid"),
)
Index(
    "uq_permissions_agent_resource",
    func.coalesce(permissions.c.agent_user_uuid, permissions.c.agent_unit_uuid),
    func.coalesce(
        permissions.c.resource_repo_uuid, permissions.c.resource_unit_uuid, permissions.c.resource_unit_node_uuid
    ),
    unique=True,
)

dashboards = Table(
    "dashboards",
    metadata,
    key(),
    Column("grafana_uuid", Uuid, nullable=False),
    Column("name", String, nullable=False),
    Column("dashboard_url", String),
    Column("inc_last_version", Integer),
    Column("sync_status", String),
    Column("sync_error", String),
    Column("sync_last_datetime", UtcDateTime),
    created(),
    reference("creator_uuid", "users"),
)

dashboard_panels = Table(
    "dashboard_panels",
    metadata,
    key(),
    Column("type", String, nullable=False),
    Column("title", String, nullable=False),
    created(),
    reference("creator_uuid", "users"),
    reference("dashboard_uuid", "dashboards"),
)

mtm_panels_unit_nodes = Table(
    "mtm_panels_unit_nodes",
    metadata,
    key(),
    Column("is_last_data", Boolean, nullable=False, server_default=text("false")),
    Column("is_forced_to_json", Boolean, nullable=False, server_default=text("false")),
    created(),
    reference("creator_uuid", "users"),
    reference("unit_node_uuid", "units_nodes"),
    Column("dashboard_panels_uuid", Uuid, ForeignKey("dashboard_panels.uuid", ondelete="CASCADE")),
    UniqueConstraint("dashboard_panels_uuid", "unit_node_uuid"),
)

# Telemetry in SQL (decisions.md 22). No foreign keys: rows are written in bulk and outlive nothing they need.

unit_logs = Table(
    "unit_logs",
    metadata,
    key(),
    Column("level", String, nullable=False),
    Column("unit_uuid", Uuid, nullable=False),
    Column("text", String, nullable=False),
    created(),
    Column("expiration_datetime", UtcDateTime, nullable=False, index=True),
    Index(None, "unit_uuid", "create_datetime"),
)

n_last_entry = Table(
    "n_last_entry",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),  # ours: the order of arrival
    Column("unit_node_uuid", Uuid, nullable=False),
    Column("state", String, nullable=False),
    Column("state_type", String, nullable=False),
    created(),
    Column("max_count", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Index(None, "unit_node_uuid", "create_datetime"),
)

window_entry = Table(
    "window_entry",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),  # ours: the order of arrival
    Column("unit_node_uuid", Uuid, nullable=False),
    Column("state", String, nullable=False),
    Column("state_type", String, nullable=False),
    created(),
    Column("expiration_datetime", UtcDateTime, nullable=False, index=True),
    Column("size", Integer, nullable=False),
    Index(None, "unit_node_uuid", "create_datetime"),
)

aggregation_entry = Table(
    "aggregation_entry",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),  # ours: the order of arrival
    Column("unit_node_uuid", Uuid, nullable=False),
    Column("state", Float, nullable=False),
    Column("aggregation_type", String, nullable=False),
    Column("time_window_size", Integer, nullable=False),
    created(),
    Column("start_window_datetime", UtcDateTime, nullable=False),
    Column("end_window_datetime", UtcDateTime, nullable=False),
    Index(None, "unit_node_uuid", "start_window_datetime"),
)
