"""Hypervisors by CloudStack's names (KVM) and by their drivers' (kvm)."""

from holdfast.errors import InvalidRequest

from holdfast_api.call import Call

SIMULATOR = "Simulator"
ON_AGENTS = ("kvm",)
"""Hypervisors whose driver lives on the hosts: a management server need not have it installed."""
_NAMES = {"kvm": "KVM", "simulator": SIMULATOR}
HYPERVISORS = tuple(_NAMES.values())
"""Those that CloudStack knows, in its spelling."""


def shown_name(driver: str) -> str:
    """CloudStack's spelling of a driver's name."""
    return _NAMES.get(driver, driver)


def check_hypervisor(call: Call, parameter: str = "hypervisor") -> str:
    """The hypervisor that a parameter names, as CloudStack spells it; `InvalidRequest` if no driver is installed."""
    text = call.text(parameter)
    installed = {name.lower(): shown_name(name) for name in (*call.context.plugins.names("hypervisor"), *ON_AGENTS)}
    found = installed.get(text.lower())
    if found is None:
        names = ", ".join(sorted(installed.values())) or "(none)"
        raise InvalidRequest(
            f"parameter {parameter}: {text[:60]!r} has no driver installed; there are {names}; "
            "`holdfast plugins list` shows them"
        )
    return found
