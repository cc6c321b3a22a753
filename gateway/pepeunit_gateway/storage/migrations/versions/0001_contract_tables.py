"""The tables of the contract and the outbox"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# sorted by bytes, as on SQLite, and not by the language that the server was set up with
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "aggregation_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("unit_node_uuid", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Float(), nullable=False),
        sa.Column("aggregation_type", TEXT, nullable=False),
        sa.Column("time_window_size", sa.Integer(), nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("start_window_datetime", sa.DateTime(), nullable=False),
        sa.Column("end_window_datetime", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aggregation_entry")),
    )
    op.create_index(
        op.f("ix_aggregation_entry_unit_node_uuid_start_window_datetime"),
        "aggregation_entry",
        ["unit_node_uuid", "start_window_datetime"],
        unique=False,
    )

    op.create_table(
        "n_last_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("unit_node_uuid", sa.Uuid(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("state_type", TEXT, nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("max_count", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_n_last_entry")),
    )
    op.create_index(
        op.f("ix_n_last_entry_unit_node_uuid_create_datetime"),
        "n_last_entry",
        ["unit_node_uuid", "create_datetime"],
        unique=False,
    )

    op.create_table(
        "unit_logs",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("level", TEXT, nullable=False),
        sa.Column("unit_uuid", sa.Uuid(), nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("expiration_datetime", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_unit_logs")),
    )
    op.create_index(op.f("ix_unit_logs_expiration_datetime"), "unit_logs", ["expiration_datetime"], unique=False)
    op.create_index(
        op.f("ix_unit_logs_unit_uuid_create_datetime"), "unit_logs", ["unit_uuid", "create_datetime"], unique=False
    )

    op.create_table(
        "users",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("login", TEXT, nullable=False),
        sa.Column("telegram_chat_id", TEXT, nullable=True),
        sa.Column("hashed_password", TEXT, nullable=False),
        sa.Column("cipher_dynamic_salt", TEXT, nullable=False),
        sa.Column("grafana_org_name", sa.Uuid(), nullable=False),
        sa.Column("grafana_org_id", TEXT, nullable=True),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("token_generation", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_users")),
        sa.UniqueConstraint("login", name=op.f("uq_users_login")),
        sa.UniqueConstraint("telegram_chat_id", name=op.f("uq_users_telegram_chat_id")),
    )
    op.create_table(
        "window_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("unit_node_uuid", sa.Uuid(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("state_type", TEXT, nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("expiration_datetime", sa.DateTime(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_window_entry")),
    )
    op.create_index(op.f("ix_window_entry_expiration_datetime"), "window_entry", ["expiration_datetime"], unique=False)
    op.create_index(
        op.f("ix_window_entry_unit_node_uuid_create_datetime"),
        "window_entry",
        ["unit_node_uuid", "create_datetime"],
        unique=False,
    )

    op.create_table(
        "dashboards",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("grafana_uuid", sa.Uuid(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("dashboard_url", TEXT, nullable=True),
        sa.Column("inc_last_version", sa.Integer(), nullable=True),
        sa.Column("sync_status", TEXT, nullable=True),
        sa.Column("sync_error", TEXT, nullable=True),
        sa.Column("sync_last_datetime", sa.DateTime(), nullable=True),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("creator_uuid", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["creator_uuid"], ["users.uuid"], name=op.f("fk_dashboards_creator_uuid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_dashboards")),
    )
    op.create_index(op.f("ix_dashboards_creator_uuid"), "dashboards", ["creator_uuid"], unique=False)

    op.create_table(
        "repository_registry",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("platform", TEXT, nullable=False),
        sa.Column("repository_url", TEXT, nullable=False),
        sa.Column("is_public_repository", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("cipher_credentials_private_repository", TEXT, nullable=True),
        sa.Column("releases_data", TEXT, nullable=True),
        sa.Column("local_repository_size", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("sync_status", TEXT, nullable=True),
        sa.Column("sync_error", TEXT, nullable=True),
        sa.Column("sync_last_datetime", sa.DateTime(), nullable=True),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("last_update_datetime", sa.DateTime(), nullable=False),
        sa.Column("creator_uuid", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["creator_uuid"], ["users.uuid"], name=op.f("fk_repository_registry_creator_uuid"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_repository_registry")),
        sa.UniqueConstraint("repository_url", name=op.f("uq_repository_registry_repository_url")),
    )
    op.create_index(op.f("ix_repository_registry_creator_uuid"), "repository_registry", ["creator_uuid"], unique=False)

    op.create_table(
        "dashboard_panels",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("creator_uuid", sa.Uuid(), nullable=True),
        sa.Column("dashboard_uuid", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["creator_uuid"], ["users.uuid"], name=op.f("fk_dashboard_panels_creator_uuid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["dashboard_uuid"], ["dashboards.uuid"], name=op.f("fk_dashboard_panels_dashboard_uuid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_dashboard_panels")),
    )
    op.create_index(op.f("ix_dashboard_panels_creator_uuid"), "dashboard_panels", ["creator_uuid"], unique=False)
    op.create_index(op.f("ix_dashboard_panels_dashboard_uuid"), "dashboard_panels", ["dashboard_uuid"], unique=False)

    op.create_table(
        "repos",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("visibility_level", TEXT, server_default="Public", nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("last_update_datetime", sa.DateTime(), nullable=False),
        sa.Column("default_branch", TEXT, nullable=True),
        sa.Column("is_compilable_repo", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("is_auto_update_repo", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("default_commit", TEXT, nullable=True),
        sa.Column("is_only_tag_update", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("creator_uuid", sa.Uuid(), nullable=True),
        sa.Column("repository_registry_uuid", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["creator_uuid"], ["users.uuid"], name=op.f("fk_repos_creator_uuid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["repository_registry_uuid"],
            ["repository_registry.uuid"],
            name=op.f("fk_repos_repository_registry_uuid"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_repos")),
        sa.UniqueConstraint("name", name=op.f("uq_repos_name")),
    )
    op.create_index(op.f("ix_repos_creator_uuid"), "repos", ["creator_uuid"], unique=False)
    op.create_index(op.f("ix_repos_repository_registry_uuid"), "repos", ["repository_registry_uuid"], unique=False)

    op.create_table(
        "units",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("visibility_level", TEXT, server_default="Public", nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("last_update_datetime", sa.DateTime(), nullable=False),
        sa.Column("is_auto_update_from_repo_unit", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("target_firmware_platform", TEXT, nullable=True),
        sa.Column("repo_branch", TEXT, nullable=True),
        sa.Column("repo_commit", TEXT, nullable=True),
        sa.Column("unit_state_dict", TEXT, nullable=True),
        sa.Column("current_commit_version", TEXT, nullable=True),
        sa.Column("cipher_env_dict", TEXT, nullable=True),
        sa.Column("cipher_state_storage", TEXT, nullable=True),
        sa.Column("firmware_update_status", TEXT, nullable=True),
        sa.Column("firmware_update_error", TEXT, nullable=True),
        sa.Column("last_firmware_update_datetime", sa.DateTime(), nullable=True),
        sa.Column("creator_uuid", sa.Uuid(), nullable=True),
        sa.Column("repo_uuid", sa.Uuid(), nullable=True),
        sa.Column("token_generation", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("synced_commit", TEXT, nullable=True),
        sa.ForeignKeyConstraint(
            ["creator_uuid"], ["users.uuid"], name=op.f("fk_units_creator_uuid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["repo_uuid"], ["repos.uuid"], name=op.f("fk_units_repo_uuid"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_units")),
        sa.UniqueConstraint("name", name=op.f("uq_units_name")),
    )
    op.create_index(op.f("ix_units_creator_uuid"), "units", ["creator_uuid"], unique=False)
    op.create_index(op.f("ix_units_repo_uuid"), "units", ["repo_uuid"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("unit_uuid", sa.Uuid(), nullable=False),
        sa.Column("command", TEXT, nullable=False),
        sa.Column("topic", TEXT, nullable=False),
        sa.Column("payload", TEXT, nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_datetime", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["unit_uuid"], ["units.uuid"], name=op.f("fk_outbox_unit_uuid"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_outbox_next_attempt_datetime"), "outbox", ["next_attempt_datetime"], unique=False)
    op.create_index(op.f("ix_outbox_unit_uuid"), "outbox", ["unit_uuid"], unique=False)

    op.create_table(
        "units_nodes",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("visibility_level", TEXT, server_default="Public", nullable=False),
        sa.Column("is_rewritable_input", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("max_connections", sa.Integer(), server_default=sa.text("(10)"), nullable=False),
        sa.Column("topic_name", TEXT, nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("last_update_datetime", sa.DateTime(), nullable=False),
        sa.Column("state", TEXT, nullable=True),
        sa.Column("is_data_pipe_active", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("data_pipe_yml", TEXT, nullable=True),
        sa.Column("data_pipe_status", TEXT, server_default="Inactive", nullable=True),
        sa.Column("data_pipe_error", TEXT, nullable=True),
        sa.Column("creator_uuid", sa.Uuid(), nullable=True),
        sa.Column("unit_uuid", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["creator_uuid"], ["users.uuid"], name=op.f("fk_units_nodes_creator_uuid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["unit_uuid"], ["units.uuid"], name=op.f("fk_units_nodes_unit_uuid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_units_nodes")),
        sa.UniqueConstraint("unit_uuid", "type", "topic_name", name=op.f("uq_units_nodes_unit_uuid_type_topic_name")),
    )
    op.create_index(op.f("ix_units_nodes_creator_uuid"), "units_nodes", ["creator_uuid"], unique=False)

    op.create_table(
        "mtm_panels_unit_nodes",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("is_last_data", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("is_forced_to_json", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("creator_uuid", sa.Uuid(), nullable=True),
        sa.Column("unit_node_uuid", sa.Uuid(), nullable=True),
        sa.Column("dashboard_panels_uuid", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["creator_uuid"], ["users.uuid"], name=op.f("fk_mtm_panels_unit_nodes_creator_uuid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["dashboard_panels_uuid"],
            ["dashboard_panels.uuid"],
            name=op.f("fk_mtm_panels_unit_nodes_dashboard_panels_uuid"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["unit_node_uuid"],
            ["units_nodes.uuid"],
            name=op.f("fk_mtm_panels_unit_nodes_unit_node_uuid"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_mtm_panels_unit_nodes")),
        sa.UniqueConstraint(
            "dashboard_panels_uuid",
            "unit_node_uuid",
            name=op.f("uq_mtm_panels_unit_nodes_dashboard_panels_uuid_unit_node_uuid"),
        ),
    )
    op.create_index(
        op.f("ix_mtm_panels_unit_nodes_creator_uuid"), "mtm_panels_unit_nodes", ["creator_uuid"], unique=False
    )
    op.create_index(
        op.f("ix_mtm_panels_unit_nodes_unit_node_uuid"), "mtm_panels_unit_nodes", ["unit_node_uuid"], unique=False
    )

    op.create_table(
        "permissions",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("agent_type", TEXT, nullable=False),
        sa.Column("agent_user_uuid", sa.Uuid(), nullable=True),
        sa.Column("agent_unit_uuid", sa.Uuid(), nullable=True),
        sa.Column("resource_type", TEXT, nullable=False),
        sa.Column("resource_repo_uuid", sa.Uuid(), nullable=True),
        sa.Column("resource_unit_uuid", sa.Uuid(), nullable=True),
        sa.Column("resource_unit_node_uuid", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["agent_unit_uuid"], ["units.uuid"], name=op.f("fk_permissions_agent_unit_uuid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["agent_user_uuid"], ["users.uuid"], name=op.f("fk_permissions_agent_user_uuid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["resource_repo_uuid"], ["repos.uuid"], name=op.f("fk_permissions_resource_repo_uuid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["resource_unit_node_uuid"],
            ["units_nodes.uuid"],
            name=op.f("fk_permissions_resource_unit_node_uuid"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["resource_unit_uuid"], ["units.uuid"], name=op.f("fk_permissions_resource_unit_uuid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_permissions")),
    )
    op.create_index(op.f("ix_permissions_agent_unit_uuid"), "permissions", ["agent_unit_uuid"], unique=False)
    op.create_index(op.f("ix_permissions_agent_user_uuid"), "permissions", ["agent_user_uuid"], unique=False)
    op.create_index(op.f("ix_permissions_resource_repo_uuid"), "permissions", ["resource_repo_uuid"], unique=False)
    op.create_index(
        op.f("ix_permissions_resource_unit_node_uuid"), "permissions", ["resource_unit_node_uuid"], unique=False
    )
    op.create_index(op.f("ix_permissions_resource_unit_uuid"), "permissions", ["resource_unit_uuid"], unique=False)

    op.create_table(
        "units_nodes_edges",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("node_output_uuid", sa.Uuid(), nullable=False),
        sa.Column("node_input_uuid", sa.Uuid(), nullable=False),
        sa.Column("creator_uuid", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["creator_uuid"], ["users.uuid"], name=op.f("fk_units_nodes_edges_creator_uuid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["node_input_uuid"],
            ["units_nodes.uuid"],
            name=op.f("fk_units_nodes_edges_node_input_uuid"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["node_output_uuid"],
            ["units_nodes.uuid"],
            name=op.f("fk_units_nodes_edges_node_output_uuid"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_units_nodes_edges")),
        sa.UniqueConstraint(
            "node_output_uuid", "node_input_uuid", name=op.f("uq_units_nodes_edges_node_output_uuid_node_input_uuid")
        ),
    )
    op.create_index(op.f("ix_units_nodes_edges_creator_uuid"), "units_nodes_edges", ["creator_uuid"], unique=False)
    op.create_index(
        op.f("ix_units_nodes_edges_node_input_uuid"), "units_nodes_edges", ["node_input_uuid"], unique=False
    )
    op.create_index(
        "uq_permissions_agent_resource",
        "permissions",
        [
            sa.text("coalesce(agent_user_uuid, agent_unit_uuid)"),
            sa.text("coalesce(resource_repo_uuid, resource_unit_uuid, resource_unit_node_uuid)"),
        ],
        unique=True,
    )
