"""Run by Alembic. The connection is handed over by `storage.upgrade`, or opened here for `alembic revision`."""

from alembic import context

from pepeunit_gateway.storage.own_tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
