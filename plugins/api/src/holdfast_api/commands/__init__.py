"""Commands, one module per part of the cloud.

ASYNC COMMANDS write rows that managers pick up when the bell rings "inventory" (or at the next poll). addHost leaves a
host in status Connecting without cpus, speed and ram: the manager attaches it and fills them in. deleteHost sets
`removed` and status Removed. configureSimulatorHAProviderState replaces the host details `simulator.ha.health`,
`.activity`, `.recover` and `.fence` ("true" or "false"), raises `simulator.ha.revision` (a whole number; when it moves,
the host's HA counters start afresh), and hides the transitions recorded so far.
"""

MODULES: tuple[str, ...] = (
    "holdfast_api.commands.session",
    "holdfast_api.commands.discovery",
    "holdfast_api.commands.jobs",
    "holdfast_api.commands.identity",
    "holdfast_api.commands.configuration",
    "holdfast_api.commands.journal",
    "holdfast_api.commands.management",
    "holdfast_api.commands.zones",
    "holdfast_api.commands.pods",
    "holdfast_api.commands.clusters",
    "holdfast_api.commands.storage",
    "holdfast_api.commands.host_adding",
    "holdfast_api.commands.hosts",
    "holdfast_api.commands.host_service",
    "holdfast_api.commands.out_of_band",
    "holdfast_api.commands.host_ha",
    "holdfast_api.commands.simulator_ha",
    "holdfast_api.commands.offerings",
    "holdfast_api.commands.templates",
    "holdfast_api.commands.networks",
    "holdfast_api.commands.vm_deployment",
    "holdfast_api.commands.virtual_machines",
    "holdfast_api.commands.vm_actions",
    "holdfast_api.commands.explanations",
)
"""The modules whose commands are served."""
