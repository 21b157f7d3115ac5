"""What the store tells a database driver through SQLAlchemy's execution options."""

WRITE_OPTION = "holdfast_write"
"""True on a connection whose next transaction will write. SQLite must then lock at once: a transaction that first reads
and then writes fails if another one wrote in between."""
