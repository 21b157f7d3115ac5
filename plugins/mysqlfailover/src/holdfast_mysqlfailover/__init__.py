"""MySQL and MariaDB with replica failover, configured by `db.properties`: the database driver `mysql`."""
