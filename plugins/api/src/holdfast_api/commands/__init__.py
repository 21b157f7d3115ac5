"""Commands, one module per part of the cloud."""

MODULES: tuple[str, ...] = (
    "holdfast_api.commands.session",
    "holdfast_api.commands.discovery",
    "holdfast_api.commands.jobs",
)
"""The modules whose commands are served."""
