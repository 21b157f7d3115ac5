"""What is installed is found afresh, and nothing is imported to find it."""

import shutil
import sys
from collections.abc import Callable
from typing import Any

import pytest
from holdfast.discovery import discover
from holdfast.errors import PluginError

GOOD_OOBM = """
from holdfast.hooks.markers import hookimpl

class Oobm:
    def __init__(self, settings):
        self.settings = settings

    @hookimpl
    def power_state(self, bmc, deadline):
        return "off"

    @hookimpl
    def power_action(self, bmc, action, deadline):
        return "done"
"""


def test_finding_imports_nothing(site: Any) -> None:
    """Names, distribution and version come from metadata, also of a module that cannot be imported."""
    module = site.install("raise RuntimeError('imported')", {"oobm": {"bad": "Oobm"}}, name="acme-bmc", version="2.3")
    (entry,) = discover().claims("oobm", "bad")
    assert (entry.distribution, entry.version, entry.target) == ("acme-bmc", "2.3", f"{module}:Oobm")
    assert module not in sys.modules


def test_a_quick_reinstall_is_seen(site: Any) -> None:
    """An upgrade within the same instant is not hidden by any cache."""
    site.install(GOOD_OOBM, {"oobm": {"acme": "Oobm"}}, name="acme", version="1")
    before = discover()
    for info in site.path.glob("*.dist-info"):
        shutil.rmtree(info)
    site.install(GOOD_OOBM, {"oobm": {"acme2": "Oobm"}}, name="acme", version="2")
    after = discover()
    assert before.claims("oobm", "acme")[0].version == "1"
    assert after.claims("oobm", "acme") == ()
    assert after.claims("oobm", "acme2")[0].version == "2"


def test_a_removed_distribution_is_gone(site: Any) -> None:
    """Metadata is read anew each time."""
    site.install(GOOD_OOBM, {"oobm": {"acme": "Oobm"}})
    assert "acme" in discover().names("oobm")
    for info in site.path.glob("*.dist-info"):
        shutil.rmtree(info)
    assert "acme" not in discover().names("oobm")


def test_the_same_distribution_twice_on_the_path_counts_once(make_site: Callable[[], Any]) -> None:
    """The first on the path wins, as it does for imports; case and punctuation of its name do not matter."""
    make_site().install(GOOD_OOBM, {"oobm": {"acme": "Oobm"}}, name="Acme.Bmc", version="1")
    make_site().install(GOOD_OOBM, {"oobm": {"acme": "Oobm"}}, name="acme-bmc", version="2")
    assert [entry.version for entry in discover().claims("oobm", "acme")] == ["2"]


def test_two_names_for_one_class_of_one_distribution_are_fine(site: Any) -> None:
    """That is how an alias is made."""
    site.install(GOOD_OOBM, {"oobm": {"acme": "Oobm", "acmetool": "Oobm"}})
    catalogue = discover()
    assert catalogue.load(catalogue.find("oobm", "acme")) is catalogue.load(catalogue.find("oobm", "acmetool"))


def test_two_distributions_with_one_name_are_an_error(site: Any) -> None:
    """The error names both, with versions, and asks to remove one."""
    site.install(GOOD_OOBM, {"oobm": {"acme": "Oobm"}}, name="acme-one", version="1.1")
    site.install(GOOD_OOBM, {"oobm": {"acme": "Oobm"}}, name="acme-two", version="2.2")
    with pytest.raises(
        PluginError, match=r"claimed 2 times, by acme-one 1\.1 .*, acme-two 2\.2 .*uninstall all but one"
    ):
        discover().find("oobm", "acme")


def test_an_unknown_name_comes_with_the_nearest_and_all_others(site: Any) -> None:
    """And with the command to run next."""
    site.install(GOOD_OOBM, {"oobm": {"acme": "Oobm"}})
    with pytest.raises(PluginError) as caught:
        discover().find("oobm", "acne")
    text = str(caught.value)
    for part in (
        '"acne"',
        "holdfast.oobm",
        'did you mean "acme"',
        "Installed for oobm: acme",
        "holdfast plugins check",
    ):
        assert part in text


def test_metadata_that_cannot_be_read_hides_nothing_else(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One distribution without METADATA and one with garbage; the good one is still found."""
    site.install(GOOD_OOBM, {"oobm": {"acme": "Oobm"}})
    (site.path / "half_removed-1.dist-info").mkdir()
    garbage = site.path / "garbage-1.dist-info"
    garbage.mkdir()
    (garbage / "METADATA").write_text("Name: garbage\nVersion: 1\n")
    (garbage / "entry_points.txt").write_bytes(b"[holdfast.oobm]\n\xff\xfe = x\n")
    assert "acme" in discover().names("oobm")
    assert "garbage" in caplog.text
