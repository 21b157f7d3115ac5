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
)
"""The modules whose commands are served."""
