"""What is written down of fence readiness: changes only, and one alert per device for as long as it is not well."""

import logging
from collections.abc import Callable

from holdfast.errors import HoldfastError
from holdfast.hooks.store import Change, Insert, Update
from holdfast.model import Alert, Host, Oobm
from holdfast.model.readiness import Readiness, ReadinessState

from holdfast_manager.desk import Desk
from holdfast_manager.open_alerts import open_alerts

log = logging.getLogger("holdfast.manager.readiness")

ALERT = "ALERT.OOBM.NOTREADY"
EVENT = "HOST.OOBM.READINESS"
_LONGEST_DETAIL = 1000


class ReadinessRecord:
    """Writes what was found into the device's row, with the event and the alert in the same batch."""

    def __init__(self, desk: Desk, notify: Callable[[Host, str, str, str], None]) -> None:
        self._desk = desk
        self._notify = notify

    async def write(self, host: Host, row: Oobm, found: Readiness) -> None:
        """Store it, if it is not what is stored. A store that is away is told again at the next look."""
        detail = found.detail[:_LONGEST_DETAIL]
        await self._store(host, row, found.state, detail)

    async def clear(self, host: Host, row: Oobm) -> None:
        """Nobody looks at a device that is switched off: what was found before says nothing any more."""
        await self._store(host, row, "", "")

    async def forget(self, host: Host, row: Oobm) -> None:
        """The device was removed, and its row with it: close its alert."""
        try:
            closed = await self._alert(host, _name(host, row), "", "")
            if closed:
                await self._desk.memory.commit(closed)
        except HoldfastError as trouble:
            log.info("the alert of a removed fence device of host %s was not closed: %s", host.name, trouble)

    async def _store(self, host: Host, row: Oobm, state: str, detail: str) -> None:
        try:
            # The snapshot may be older than the last look.
            fresh = await self._desk.memory.get(Oobm, row.id)
            if fresh is None or (fresh.readiness, fresh.readiness_detail) == (state, detail):
                return
            values = {"readiness": state, "readiness_detail": detail}
            turned = fresh.readiness != state
            name = _name(host, row)
            text = f"{name} is {_in_words(state)}" + (f": {detail}" if detail else "")
            alert = await self._alert(host, name, state, text)
            # That a new device is well is no news, unless it was said before that the one in its place is not.
            is_news = turned and not (state == ReadinessState.READY and not fresh.readiness and not alert)
            changes: list[Change] = [
                Update(
                    Oobm, row.id,
                    values | ({"readiness_since": self._desk.journal.now()} if turned else {}),
                    # Not over what somebody configured meanwhile: that is looked at anew.
                    {"update_count": row.update_count},
                )
            ]  # fmt: skip
            if is_news:
                level = "INFO" if state in ("", ReadinessState.READY) else "WARN"
                changes.append(self._desk.journal.event(EVENT, text, resource=host.uuid, level=level))
            await self._desk.memory.commit([*changes, *alert])
        except HoldfastError as trouble:
            log.info("readiness of a fence device of host %s was not stored: %s", host.name, trouble)
            return
        is_told = any(isinstance(change, Insert) for change in alert)  # as every new alert is
        if is_news and state and not is_told:
            is_well = state == ReadinessState.READY
            self._notify(host, "event" if is_well else "alert", EVENT if is_well else ALERT, text)

    async def _alert(self, host: Host, name: str, state: str, text: str) -> list[Change]:
        subject = f"{name} is not ready"
        open_ones = await open_alerts(self._desk, ALERT, resource_id=host.uuid, subject=subject)
        if state in ("", ReadinessState.READY):
            return [*self._desk.journal.closed(open_ones)]
        if open_ones:
            return [Update(Alert, open_ones[0].id, {"content": text})]
        return [self._desk.journal.alert(ALERT, subject, text, host)]


def _name(host: Host, row: Oobm) -> str:
    one = "" if (row.level, row.device_index) == (1, 0) else f" (device {row.device_index} of level {row.level})"
    return f"the fence path of host {host.name}{one}"


def _in_words(state: str) -> str:
    return {
        ReadinessState.READY: "ready", ReadinessState.WARNING: "ready, with a warning",
        ReadinessState.NOT_READY: "not ready, fencing by it would fail", "": "not looked at: it is switched off",
    }[state]  # fmt: skip
