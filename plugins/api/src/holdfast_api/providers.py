"""HA providers that are installed."""

import logging
from dataclasses import dataclass

from holdfast.errors import PluginError

from holdfast_api.call import Call

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Provider:
    """`name` is what is configured, `hypervisor` what it is made for, `display_name` how CloudStack spells it."""

    name: str
    hypervisor: str
    display_name: str


def installed_providers(call: Call) -> list[Provider]:
    """Those that can be loaded, by name. One that is broken is left out, and the log says why."""
    plugins = call.context.plugins
    found = []
    for name in plugins.names("provider"):
        try:
            made = plugins.driver_class("provider", name)
        except PluginError as problem:
            logger.warning("HA provider %s cannot be used: %s", name, problem)
            continue
        found.append(Provider(name, str(made.hypervisor), str(made.display_name)))
    return found
