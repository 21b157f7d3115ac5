"""Response objects, one module per part of the cloud."""

MODULES: tuple[str, ...] = (
    "holdfast_api.responses.session",
    "holdfast_api.responses.discovery",
    "holdfast_api.responses.jobs",
    "holdfast_api.responses.identity",
    "holdfast_api.responses.configuration",
    "holdfast_api.responses.journal",
    "holdfast_api.responses.management",
    "holdfast_api.responses.zones",
    "holdfast_api.responses.storage",
    "holdfast_api.responses.hosts",
    "holdfast_api.responses.certificates",
    "holdfast_api.responses.out_of_band",
    "holdfast_api.responses.fence_drill",
    "holdfast_api.responses.host_ha",
    "holdfast_api.responses.catalogue",
    "holdfast_api.responses.virtual_machines",
    "holdfast_api.responses.volumes",
    "holdfast_api.responses.absent",
    "holdfast_api.responses.explanations",
)
"""The modules whose `ResponseObject` tables count."""
