"""dedicated: hosts kept free for HA restarts (setting `ha.tag`), and the host tags that offerings ask for (M4)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from holdfast.engine.dedicated import is_dedicated
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.placement import HostRoom, Request
from holdfast.options import Option


class DedicatedFilter:
    """Refuses hosts by their tags.

    It has no table in the configuration file. The manager gives it settings by name at construction, and makes it anew
    when they change:
    `ha_tag` is the global setting `ha.tag`; `untagged_zones` are the uuids of the zones in which no usable host carries
    it (`holdfast.engine.dedicated.untagged_zones`), so that the refusals there say it as loudly as it has to be said.

    With `ha_tag` set: an HA restart goes to dedicated hosts only; a new VM goes to none, unless an admin pins it to
    that host; a migration by hand may go to any. A dedicated host need not carry the tags of the offering: else each
    spare host would need every tag in use, and a VM with a tag would find none. All other hosts must carry them, and
    an offering that itself names the HA tag opens no dedicated host to new VMs.
    """

    SETTINGS: ClassVar[Mapping[str, Option]] = {}
    reads = frozenset({"purpose", "host_tags", "pinned", "zone"})
    scores = False

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        settings = settings or {}
        self._ha_tag = str(settings.get("ha_tag") or "").strip()
        untagged: Collection[str] = settings.get("untagged_zones") or ()
        self._untagged_zones = frozenset(untagged)

    @hookimpl
    def refuse(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, str]:
        """Refuses by the rules above."""
        if not self._ha_tag and not request.host_tags:
            return {}
        return {host.uuid: reason for host in hosts if (reason := self._reason(request, host))}

    @hookimpl
    def score(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, float]:
        """No preference."""
        return {}

    def _reason(self, request: Request, host: HostRoom) -> str:
        if is_dedicated(self._ha_tag, host.tags):
            if request.purpose == "deploy" and request.pinned != host.uuid:
                return f'is kept free for HA restarts (it carries the host tag "{self._ha_tag}" of setting ha.tag)'
            return ""
        if self._ha_tag and request.purpose == "ha":
            return self._lacks_ha_tag(request.zone)
        missing = request.host_tags - host.tags
        return f"lacks the host tags that the offering asks for: {', '.join(sorted(missing))}" if missing else ""

    def _lacks_ha_tag(self, zone: str) -> str:
        remedy = f"tag hosts (updateHost hosttags={self._ha_tag}) or empty ha.tag"
        if zone in self._untagged_zones:
            return (
                f'NO usable host of zone {zone} carries the host tag "{self._ha_tag}" that setting ha.tag demands, so '
                f"no HA VM there is restarted: {remedy}"
            )
        return f'HA restarts go only to hosts with the tag "{self._ha_tag}" of setting ha.tag, and this one lacks it'
