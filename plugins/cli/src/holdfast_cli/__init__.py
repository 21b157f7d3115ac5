"""Holdfast on the command line: demo, explain, api."""
