"""Notifiers for Holdfast: log lines and webhooks."""
