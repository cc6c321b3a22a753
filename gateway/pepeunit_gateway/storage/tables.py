"""The tables. Names and columns of the contract are kept; what is ours is added beside them.

Source: protocol/entities.md 1.1-1.9, decisions.md 14 and 25; W31 (unique in the database), W46 (foreign keys indexed).
Columns marked "ours" do not exist in the contract.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from pepeunit_gateway.storage.times import UtcDateTime

__all__ = [
    "act_counter",
    "aggregation_entry",
    "audit",
    "dashboard_panels",
    "dashboards",
    "idempotency_keys",
    "key_prints",
    "leases",
    "metadata",
    "mtm_panels_unit_nodes",
    "n_last_entry",
    "named_tokens",
    "outbox",
    "permissions",
    "repos",
    "repository_registry",
    "telemetry_removals",
    "unit_logs",
    "units",
    "units_nodes",
    "units_nodes_edges",
    "users",
    "window_entry",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key() -> Column[Any]:
    return Column("uuid", Uuid, primary_key=True)


def _created() -> Column[Any]:
    return Column("create_datetime", UtcDateTime, nullable=False)


def _updated() -> Column[Any]:
    return Column("last_update_datetime", UtcDateTime, nullable=False)


def _reference(
    name: str, target: str, *, nullable: bool = True, ondelete: str = "CASCADE", index: bool = True
) -> Column[Any]:
    return Column(name, Uuid, ForeignKey(f"{target}.uuid", ondelete=ondelete), nullable=nullable, index=index)


users = Table(
    "users",
    metadata,
    _key(),
    Column("role", String, nullable=False),
    Column("status", String, nullable=False),
    Column("login", String, nullable=False, unique=True),
    Column("telegram_chat_id", String, unique=True),
    Column("hashed_password", String, nullable=False),
    Column("cipher_dynamic_salt", String, nullable=False),
    Column("grafana_org_name", Uuid, nullable=False),
    Column("grafana_org_id", String),
    _created(),
    Column("token_generation", Integer, nullable=False, server_default=text("0")),  # ours, decisions.md 3
)

repository_registry = Table(
    "repository_registry",
    metadata,
    _key(),
    Column("platform", String, nullable=False),
    Column("repository_url", String, nullable=False, unique=True),
    Column("is_public_repository", Boolean, nullable=False, server_default=text("true")),
    Column("cipher_credentials_private_repository", String),
    Column("releases_data", String),
    Column("local_repository_size", BigInteger, nullable=False, server_default=text("0")),
    Column("sync_status", String),
    Column("sync_error", String),
    Column("sync_last_datetime", UtcDateTime),
    _created(),
    _updated(),
    _reference("creator_uuid", "users", ondelete="SET NULL"),
)

repos = Table(
    "repos",
    metadata,
    _key(),
    Column("visibility_level", String, nullable=False, server_default="Public"),
    Column("name", String, nullable=False, unique=True),
    _created(),
    _updated(),
    Column("default_branch", String),
    Column("is_compilable_repo", Boolean, nullable=False, server_default=text("false")),
    Column("is_auto_update_repo", Boolean, nullable=False, server_default=text("true")),
    Column("default_commit", String),
    Column("is_only_tag_update", Boolean, nullable=False, server_default=text("false")),
    _reference("creator_uuid", "users"),
    _reference("repository_registry_uuid", "repository_registry", nullable=False),
)

units = Table(
    "units",
    metadata,
    _key(),
    Column("visibility_level", String, nullable=False, server_default="Public"),
    Column("name", String, nullable=False, unique=True),
    _created(),
    _updated(),
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
    _reference("creator_uuid", "users"),
    _reference("repo_uuid", "repos"),
    Column("token_generation", Integer, nullable=False, server_default=text("0")),  # ours, decisions.md 3
    Column("synced_commit", String),  # ours: the commit whose schema the nodes follow (W23)
    Index(None, "create_datetime"),  # the order of lists
    Index(None, "uuid", "visibility_level", "creator_uuid"),  # counts what an agent sees
)

units_nodes = Table(
    "units_nodes",
    metadata,
    _key(),
    Column("type", String, nullable=False),
    Column("visibility_level", String, nullable=False, server_default="Public"),
    Column("is_rewritable_input", Boolean, nullable=False, server_default=text("false")),
    Column("max_connections", Integer, nullable=False, server_default=text("10")),
    Column("topic_name", String, nullable=False),
    _created(),
    _updated(),
    Column("state", String),
    Column("is_data_pipe_active", Boolean, nullable=False, server_default=text("false")),
    Column("data_pipe_yml", String),
    Column("data_pipe_status", String, server_default="Inactive"),
    Column("data_pipe_error", String),
    _reference("creator_uuid", "users"),
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
    _key(),
    # the unique index below starts with the output
    Column("node_output_uuid", Uuid, ForeignKey("units_nodes.uuid", ondelete="CASCADE"), nullable=False),
    _reference("node_input_uuid", "units_nodes", nullable=False),
    _reference("creator_uuid", "users"),
    UniqueConstraint("node_output_uuid", "node_input_uuid"),
)

permissions = Table(
    "permissions",
    metadata,
    _key(),
    Column("agent_type", String, nullable=False),
    _reference("agent_user_uuid", "users"),
    _reference("agent_unit_uuid", "units"),
    Column("resource_type", String, nullable=False),
    _reference("resource_repo_uuid", "repos"),
    _reference("resource_unit_uuid", "units", index=False),
    _reference("resource_unit_node_uuid", "units_nodes", index=False),
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
    _key(),
    Column("grafana_uuid", Uuid, nullable=False),
    Column("name", String, nullable=False),
    Column("dashboard_url", String),
    Column("inc_last_version", Integer),
    Column("sync_status", String),
    Column("sync_error", String),
    Column("sync_last_datetime", UtcDateTime),
    _created(),
    _reference("creator_uuid", "users"),
)

dashboard_panels = Table(
    "dashboard_panels",
    metadata,
    _key(),
    Column("type", String, nullable=False),
    Column("title", String, nullable=False),
    _created(),
    _reference("creator_uuid", "users"),
    _reference("dashboard_uuid", "dashboards"),
)

mtm_panels_unit_nodes = Table(
    "mtm_panels_unit_nodes",
    metadata,
    _key(),
    Column("is_last_data", Boolean, nullable=False, server_default=text("false")),
    Column("is_forced_to_json", Boolean, nullable=False, server_default=text("false")),
    _created(),
    _reference("creator_uuid", "users"),
    _reference("unit_node_uuid", "units_nodes"),
    Column("dashboard_panels_uuid", Uuid, ForeignKey("dashboard_panels.uuid", ondelete="CASCADE")),
    UniqueConstraint("dashboard_panels_uuid", "unit_node_uuid"),
)

# Telemetry in SQL (decisions.md 22). No foreign keys: rows are written in bulk and outlive nothing they need.

unit_logs = Table(
    "unit_logs",
    metadata,
    _key(),
    Column("level", String, nullable=False),
    Column("unit_uuid", Uuid, nullable=False),
    Column("text", String, nullable=False),
    _created(),
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
    _created(),
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
    _created(),
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
    _created(),
    Column("start_window_datetime", UtcDateTime, nullable=False),
    Column("end_window_datetime", UtcDateTime, nullable=False),
    Index(None, "unit_node_uuid", "start_window_datetime"),
)

# Ours: commands to units, written in the transaction that caused them (design.md, "Data flows").

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    _reference("unit_uuid", "units", nullable=False),
    Column("command", String, nullable=False),
    Column("topic", String, nullable=False),
    Column("payload", String, nullable=False),
    _created(),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_datetime", UtcDateTime, nullable=False, index=True),
    sqlite_autoincrement=True,  # an id is never given twice: a sender may still hold that of a replaced command
)

# Ours: what people and programs may do besides (decisions.md 3 and 12).

named_tokens = Table(
    "named_tokens",
    metadata,
    _key(),  # the token's claim `jti`
    Column("user_uuid", Uuid, ForeignKey("users.uuid", ondelete="CASCADE"), nullable=False),  # the unique index has it
    Column("name", String, nullable=False),
    Column("scope", String, nullable=False),
    _created(),
    Column("expiration_datetime", UtcDateTime),
    UniqueConstraint("user_uuid", "name"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("create_datetime", UtcDateTime, nullable=False, index=True),
    Column("action", String, nullable=False, index=True),
    # no foreign keys: the trail outlives whom it is about
    Column("actor_type", String, nullable=False),
    Column("actor_uuid", Uuid, index=True),
    Column("actor_name", String),
    Column("subject_type", String),
    Column("subject_uuid", Uuid, index=True),
    Column("subject_name", String),
    Column("address", String),
    Column("request_id", String),
    Column("details", String),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_uuid", Uuid, ForeignKey("users.uuid", ondelete="CASCADE"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("digest", String, nullable=False),  # of the request, so that another request with the key is refused
    Column("answer", String, nullable=False),  # what the first request was answered
    Column("create_datetime", UtcDateTime, nullable=False, index=True),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("fence", BigInteger, nullable=False),  # the highest fencing token that wrote under this lease
)

# Telemetry has no foreign keys and may be large, so it goes after the act that deleted its owner. What must still go
# stands here, written by that act: a gateway that is killed in between finishes at its next start.
telemetry_removals = Table(
    "telemetry_removals",
    metadata,
    Column("owner_uuid", Uuid, primary_key=True),
    Column("owner_type", String, nullable=False),  # Unit or UnitNode
)

act_counter = Table(  # ours: one row that every act changes, so that what was counted before it is known to be old
    "act_counter",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("acts", BigInteger, nullable=False),
)

key_prints = Table(  # ours: one row, of the keys that everything here was written with; storage/key_prints.py
    "key_prints",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("encrypt_key", String, nullable=False),
    Column("secret_key", String, nullable=False),
    Column("domain", String),
)
