"""Placement filters and scorers for Holdfast."""
