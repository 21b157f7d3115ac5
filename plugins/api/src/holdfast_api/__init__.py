"""The CloudStack-compatible HTTP API of Holdfast."""
