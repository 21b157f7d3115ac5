"""The alerts that are open: what they are about lasts."""

from holdfast.hooks.store import Query
from holdfast.model import Alert

from holdfast_manager.desk import Desk


async def open_alerts(desk: Desk, name: str, **same: str) -> list[Alert]:
    """Those of that name in which the fields `same` have these values. Raises what the store raises."""
    return await desk.memory.select(Alert, Query(equal={"name": name, **same, "resolved": None}))
