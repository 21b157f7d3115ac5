"""Run by Alembic for each upgrade. The connection, its transaction and its lock belong to `holdfast_store.migrate`."""

from alembic import context

from holdfast_store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
context.run_migrations()
