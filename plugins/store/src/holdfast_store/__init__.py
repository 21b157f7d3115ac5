"""Holdfast's memory: the SQL store, its migrations, and the SQLite database driver."""
