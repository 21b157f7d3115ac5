"""Response objects, one module per part of the cloud."""

MODULES: tuple[str, ...] = (
    "holdfast_api.responses.session",
    "holdfast_api.responses.discovery",
    "holdfast_api.responses.jobs",
)
"""The modules whose `ResponseObject` tables count."""
