"""Storage heartbeats on NFS shares."""
