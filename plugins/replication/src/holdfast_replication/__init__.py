"""Watches, sets up and tends the replication of Holdfast's MariaDB or MySQL servers."""
