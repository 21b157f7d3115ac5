"""Commands, one module per part of the cloud."""

MODULES: tuple[str, ...] = (
    "holdfast_api.commands.session",
    "holdfast_api.commands.discovery",
    "holdfast_api.commands.jobs",
    "holdfast_api.commands.identity",
    "holdfast_api.commands.configuration",
    "holdfast_api.commands.journal",
    "holdfast_api.commands.management",
)
"""The modules whose commands are served."""
