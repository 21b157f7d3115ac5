"""states.md: the host-HA state machine, from the engine's table."""

from holdfast.engine.transitions import TRANSITIONS
from holdfast.model.states import HAEvent, HAState

from reference_pages.markdown import code, page, table

MEANING = {
    HAState.DISABLED: "HA is off for the host, its cluster or its zone",
    HAState.AVAILABLE: "the host is healthy",
    HAState.INELIGIBLE: "HA is wanted, but cannot work for the host now; the reason is shown",
    HAState.SUSPECT: "the host has been silent for too long",
    HAState.CHECKING: "its storage is looked at for signs of life",
    HAState.DEGRADED: "silent, but its VMs still write: it is left alone",
    HAState.RECOVERING: "a recovery (a reset) is being tried",
    HAState.RECOVERED: "the reset was accepted; the host has time to come back",
    HAState.FENCING: "its power is being cut, until that is proven",
    HAState.FENCED: "it is proven that the host cannot write; its VMs run elsewhere",
}


def write() -> str:
    """The page."""
    states = table(("state", "meaning"), ((f"**{state}**", MEANING[state]) for state in HAState))
    matrix = table(
        ("from \\ event", *(str(event) for event in HAEvent)),
        ((str(source or "*(new)*"), *(_target(source, event) for event in HAEvent)) for source in (None, *HAState)),
    )
    rows = table(
        ("from", "event", "to", "rule of", "why"),
        (
            (code(row.source or "") or "*(new)*", code(row.event), code(row.target), row.origin, row.why)
            for row in TRANSITIONS
        ),
    )
    intro = (
        "Names are CloudStack's, where CloudStack has them. "
        "A pair of state and event that is not listed is no transition: the state stays, and the event is counted "
        "as ignored."
    )
    return page("Host-HA states", intro, "## States", states, "## Transitions", rows, "## The same as a matrix", matrix)


def _target(source: HAState | None, event: HAEvent) -> str:
    found = [row.target for row in TRANSITIONS if (row.source, row.event) == (source, event)]
    return str(found[0]) if found else ""
