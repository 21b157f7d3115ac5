"""What all suites share: the driver must keep its hook contract."""

from typing import Any, ClassVar

from holdfast.adapter import faults
from holdfast.hooks.points import POINTS

from holdfast_conformance import guard


class Conformance:
    """Parent of the suites. `point` is the name of the extension point.

    `model_examples` is how many runs the reference model makes; lower it for devices that are slow.
    """

    point: ClassVar[str] = ""
    model_examples: ClassVar[int] = 80

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a suite that drops standard tests where it is written, also when the pytest plugin is off."""
        super().__init_subclass__(**kwargs)
        found = guard.violations(cls)
        if found:
            raise TypeError("; ".join(found))

    def test_driver_keeps_the_hook_contract(self, driver: Any) -> None:
        """What the loader checks when the driver is selected: methods, marks, arguments and kinds of function."""
        found = faults(POINTS[self.point], type(driver))
        assert not found, f"{type(driver).__name__}: {'; '.join(found)}"
