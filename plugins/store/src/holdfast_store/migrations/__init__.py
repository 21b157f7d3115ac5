"""Alembic migrations. Each file in `versions` is written by hand and never changed once released."""
