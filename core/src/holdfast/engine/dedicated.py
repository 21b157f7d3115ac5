"""Dedicated HA hosts (M4): which hosts they are, and what an operator must be told about them before a crash."""

from collections.abc import Collection, Mapping

TagsByHost = Mapping[str, Collection[str]]
"""Host name → its tags."""


def is_dedicated(ha_tag: str, tags: Collection[str]) -> bool:
    """Whether a host with these tags takes only VMs restarted by HA, under this value of the setting `ha.tag`."""
    tag = ha_tag.strip()
    return bool(tag) and tag in tags


def untagged_zones(ha_tag: str, hosts_with_tags_by_zone: Mapping[str, TagsByHost]) -> tuple[str, ...]:
    """Zones in which no host carries the tag, sorted: there HA restarts nothing. None while `ha.tag` is empty."""
    if not ha_tag.strip():
        return ()
    return tuple(
        zone
        for zone, hosts in sorted(hosts_with_tags_by_zone.items())
        if not any(is_dedicated(ha_tag, tags) for tags in hosts.values())
    )


def warnings(ha_tag: str, hosts_with_tags_by_zone: Mapping[str, TagsByHost]) -> dict[str, str]:
    """Zone → what is wrong with the dedicated HA hosts there, and what to do (M4.2); empty if all is well.

    `hosts_with_tags_by_zone` has every zone, with all of its hosts that count: leave out hosts that cannot take VMs
    (down, disabled, in maintenance), since a tag on them helps nobody.
    """
    tag = ha_tag.strip()
    found = {}
    for zone in untagged_zones(tag, hosts_with_tags_by_zone):
        hosts = hosts_with_tags_by_zone[zone]
        found[zone] = (
            f'HA VMs of zone {zone} will NOT be restarted: setting ha.tag is "{tag}", and none of the {len(hosts)} '
            f"usable hosts there carries that tag. {_remedy(tag, hosts)}"
        )
    return found


def _remedy(tag: str, hosts: TagsByHost) -> str:
    alike = sorted(
        name for name, tags in hosts.items() if any(own.strip().casefold() == tag.casefold() for own in tags)
    )
    if alike:
        return f"Correct the spelling of the tag on {', '.join(alike[:3])} (updateHost hosttags={tag})."
    if "," in tag:
        return "ha.tag names one tag, not a list: set it to a single tag (updateConfiguration name=ha.tag)."
    return f"Tag a host (updateHost hosttags={tag}), or empty ha.tag (updateConfiguration name=ha.tag value=)."
