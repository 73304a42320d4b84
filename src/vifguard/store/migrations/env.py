"""Runs migrations on the connection it is handed; the caller owns the transaction."""

from alembic import context

from vifguard.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
