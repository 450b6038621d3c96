"""Run by alembic. The connection, with its transaction under way, is given by `chatvault.ledger.upgrade`."""

from alembic import context

from chatvault.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
