"""Runs migrations on the connection it is handed; the caller owns the transaction."""

from alembic import context

from vifguard.store.schema import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    render_as_batch=True,
)
context.run_migrations()
