"""Ownership leases for a single Holdfast process."""
