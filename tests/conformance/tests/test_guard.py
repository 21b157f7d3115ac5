"""A suite keeps all the standard tests, or says in every report which one it expects to fail, and why."""

import pytest
from holdfast_conformance import OobmConformance, guard

pytest_plugins = ["pytester"]


def test_a_plain_suite_is_accepted() -> None:
    """Giving fixtures and capabilities takes nothing away."""

    class TestPlain(OobmConformance):
        def test_something_of_its_own(self) -> None:
            """Adding tests is welcome."""

    assert guard.violations(TestPlain) == []


def test_deleting_a_standard_test_is_refused() -> None:
    """The class statement itself fails, so it does not depend on how pytest is run."""
    with pytest.raises(TypeError, match="deletes the standard test test_off_is_idempotent"):

        class TestDeletes(OobmConformance):
            test_off_is_idempotent = None  # type: ignore[assignment]


def test_overriding_a_standard_test_is_refused() -> None:
    """An empty override would be green for ever."""
    with pytest.raises(TypeError, match="overrides the standard test test_deadlines_are_kept"):

        class TestOverrides(OobmConformance):
            def test_deadlines_are_kept(self) -> None:  # type: ignore[override]
                """Green, whatever the driver does."""


@pytest.mark.parametrize(
    "mark", [pytest.mark.xfail, pytest.mark.xfail(reason=" "), pytest.mark.xfail(run=False, reason="x")]
)
def test_an_expected_failure_needs_a_reason_and_a_run(mark: pytest.MarkDecorator) -> None:
    """The reason is what the reader of the report gets."""
    with pytest.raises(TypeError, match="overrides"):

        class TestVague(OobmConformance):
            @mark
            def test_deadlines_are_kept(self) -> None:  # type: ignore[override]
                """No reason given."""


def test_an_expected_failure_with_a_reason_is_accepted() -> None:
    """This is the one way out."""

    class TestHonest(OobmConformance):
        @pytest.mark.xfail(reason="the firmware answers after its own ten seconds", strict=True)
        def test_deadlines_are_kept(self, driver, bench) -> None:  # type: ignore[no-untyped-def]
            super().test_deadlines_are_kept(driver, bench)

    assert guard.violations(TestHonest) == []


def test_a_suite_changed_after_its_definition_is_a_collection_error(pytester: pytest.Pytester) -> None:
    """The plugin looks again when pytest collects, and a skipped suite is no passed suite either."""
    pytester.makepyfile(
        test_sneaky="""
        import pytest
        from holdfast_conformance import OobmConformance

        class TestSneaky(OobmConformance):
            pass

        TestSneaky.test_off_is_idempotent = None
        """,
        test_lazy="""
        import pytest
        from holdfast_conformance import OobmConformance

        @pytest.mark.skip(reason="later")
        class TestSkipped(OobmConformance):
            pass
        """,
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*TestSkipped skips a whole suite*", "*TestSneaky deletes the standard test test_off_is_idempotent*"]
    )


def test_a_failing_check_explains_itself(pytester: pytest.Pytester) -> None:
    """Asserts of the kit are rewritten, so an author sees the values."""
    pytester.makepyfile(
        test_driver="""
        import pytest
        from holdfast_conformance import OobmConformance

        class TestDriver(OobmConformance):
            @pytest.fixture
            def driver(self):
                return object()
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-k", "hook_contract")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*object: lacks the mandatory method power_state*"])
