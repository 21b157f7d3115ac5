"""Response objects, one module per part of the cloud."""

MODULES: tuple[str, ...] = (
    "holdfast_api.responses.session",
    "holdfast_api.responses.discovery",
    "holdfast_api.responses.jobs",
    "holdfast_api.responses.identity",
    "holdfast_api.responses.configuration",
    "holdfast_api.responses.journal",
    "holdfast_api.responses.management",
)
"""The modules whose `ResponseObject` tables count."""
