"""The numbers that the driver knows by heart are libvirt's own."""

import pytest
from holdfast_hypervisor_kvm import domain_state, migration, sightings, starting, stopping, watch
from holdfast_hypervisor_kvm.binding import libvirt


def test_numbers_are_those_of_the_binding(packages: None) -> None:
    """Each by its name."""
    binding = libvirt()
    known = {
        "VIR_DOMAIN_RUNNING": domain_state.RUNNING,
        "VIR_DOMAIN_BLOCKED": domain_state.BLOCKED,
        "VIR_DOMAIN_PAUSED": domain_state.PAUSED,
        "VIR_DOMAIN_SHUTDOWN": domain_state.SHUTDOWN,
        "VIR_DOMAIN_SHUTOFF": domain_state.SHUTOFF,
        "VIR_DOMAIN_PMSUSPENDED": domain_state.PMSUSPENDED,
        "VIR_DOMAIN_PAUSED_MIGRATION": domain_state.PAUSED_MIGRATION,
        "VIR_DOMAIN_PAUSED_IOERROR": domain_state.PAUSED_IOERROR,
        "VIR_DOMAIN_PAUSED_STARTING_UP": domain_state.PAUSED_STARTING_UP,
        "VIR_DOMAIN_PAUSED_POSTCOPY": domain_state.PAUSED_POSTCOPY,
        "VIR_DOMAIN_EVENT_STARTED": domain_state.EVENT_STARTED,
        "VIR_DOMAIN_EVENT_SUSPENDED": domain_state.EVENT_SUSPENDED,
        "VIR_DOMAIN_EVENT_RESUMED": domain_state.EVENT_RESUMED,
        "VIR_DOMAIN_EVENT_STOPPED": domain_state.EVENT_STOPPED,
        "VIR_DOMAIN_EVENT_STARTED_MIGRATED": domain_state.STARTED_MIGRATED,
        "VIR_DOMAIN_EVENT_ID_LIFECYCLE": watch._LIFECYCLE,
        "VIR_DOMAIN_EVENT_ID_REBOOT": watch._REBOOT,
        "VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON": watch._IO_ERROR_REASON,
        "VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE": sightings._ACTIVE,
        "VIR_DOMAIN_STATS_STATE": sightings._STATE_STATS,
        "VIR_DOMAIN_METADATA_ELEMENT": sightings._METADATA_ELEMENT,
        "VIR_ERR_NO_DOMAIN": sightings._NO_DOMAIN,
        "VIR_ERR_NO_DOMAIN_METADATA": sightings._NO_METADATA,
        "VIR_DOMAIN_START_PAUSED": starting._PAUSED,
        "VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN": stopping._POWER_BUTTON,
        "VIR_DOMAIN_REBOOT_ACPI_POWER_BTN": stopping._POWER_BUTTON,
        "VIR_MIGRATE_LIVE": migration._LIVE,
        "VIR_MIGRATE_PEER2PEER": migration._PEER2PEER,
        "VIR_MIGRATE_UNSAFE": migration._UNSAFE,
        "VIR_MIGRATE_ABORT_ON_ERROR": migration._ABORT_ON_ERROR,
        "VIR_DOMAIN_XML_MIGRATABLE": migration._MIGRATABLE,
        "VIR_DOMAIN_XML_SECURE": migration._SECURE,
    }
    assert known == {name: getattr(binding, name) for name in known}


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("SHUTDOWN", "shut itself down"),
        ("DESTROYED", "destroyed"),
        ("CRASHED", "guest crashed"),
        ("MIGRATED", "another host"),
        ("SAVED", "saved"),
        ("FAILED", "unexpectedly"),
    ],
)
def test_ends_have_libvirts_numbers(packages: None, name: str, word: str) -> None:
    """By the detail of the last event."""
    number = getattr(libvirt(), f"VIR_DOMAIN_EVENT_STOPPED_{name}")
    assert word in domain_state.of_stop(number)[1]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("USER", "by order"),
        ("SAVE", "saved"),
        ("DUMP", "dumped"),
        ("IOERROR", "I/O error"),
        ("WATCHDOG", "watchdog"),
        ("FROM_SNAPSHOT", "restored"),
        ("SHUTTING_DOWN", "shuts down"),
        ("SNAPSHOT", "snapshot is made"),
        ("CRASHED", "panicked"),
        ("POSTCOPY_FAILED", "post-copy"),
    ],
)
def test_pauses_have_libvirts_numbers(packages: None, name: str, word: str) -> None:
    """By the reason of the state."""
    number = getattr(libvirt(), f"VIR_DOMAIN_PAUSED_{name}")
    assert word in domain_state.of_domain(domain_state.PAUSED, number)[1]
