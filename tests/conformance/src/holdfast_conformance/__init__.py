"""Conformance kit for Holdfast drivers."""
