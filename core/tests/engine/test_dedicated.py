"""A missing HA tag is said before the crash (M4.2)."""

from holdfast.engine.dedicated import is_dedicated, untagged_zones, warnings


def test_no_tag_set_is_nothing_to_warn_about():
    """Without `ha.tag` every host takes restarts."""
    assert warnings("", {"z1": {"h1": ()}}) == {}
    assert warnings("  ", {"z1": {}}) == {}
    assert not is_dedicated("", ["", "ssd"])


def test_a_zone_with_one_tagged_host_is_well():
    """One is enough."""
    assert warnings("ha_host", {"z1": {"h1": {"ssd"}, "h2": {"ha_host", "ssd"}}}) == {}


def test_a_zone_without_a_tagged_host_is_told_loudly_what_to_do():
    """Zone, tag, consequence and remedy are in the text; other zones do not help."""
    found = warnings("ha_host", {"z1": {"h1": {"ha_host"}}, "z2": {"h2": {"ssd"}, "h3": ()}, "z3": {}})
    assert (
        sorted(found) == ["z2", "z3"] == list(untagged_zones("ha_host", {"z1": {"h": ["ha_host"]}, "z2": {}, "z3": {}}))
    )
    for part in (
        "zone z2",
        "NOT be restarted",
        '"ha_host"',
        "none of the 2 usable hosts",
        "updateHost hosttags=ha_host",
    ):
        assert part in found["z2"]


def test_a_tag_in_other_spelling_is_pointed_out():
    """Tags are compared exactly, so a near miss is named."""
    assert "Correct the spelling of the tag on h1" in warnings("ha_host", {"z1": {"h1": {"HA_Host"}}})["z1"]


def test_a_list_of_tags_is_pointed_out():
    """Upstream takes the whole text as one tag; so do we, and say so."""
    assert "one tag, not a list" in warnings("ha_host,spare", {"z1": {"h1": {"ha_host"}}})["z1"]
