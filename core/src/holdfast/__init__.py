"""Holdfast core: hooks, model, loader, configuration, errors and the pure engine."""
