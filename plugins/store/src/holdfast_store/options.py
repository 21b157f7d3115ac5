"""What the store tells a database driver through SQLAlchemy's execution options."""

WRITE_OPTION = "holdfast_write"
"""True on a connection whose next transaction will write. SQLite must then lock at once: a transaction that first reads
and then writes fails if another one wrote in between."""

RETRY_SAFE_OPTION = "holdfast_retry_safe"
"""True on a connection whose next transaction will be run again if the database undid it as a whole. A driver that
fails over may then find out what became of a commit that broke, and undo what nobody was told of."""
