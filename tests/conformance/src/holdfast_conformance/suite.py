"""What all suites share: the driver must keep its hook contract."""

import inspect
from typing import Any, ClassVar

import pluggy
from holdfast.hooks.markers import PROJECT, is_optional
from holdfast.hooks.points import POINTS

from holdfast_conformance import guard

MANDATORY_LIMIT = 6


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
        """Each mandatory method is there, is marked `@hookimpl`, and takes no argument that the contract lacks."""
        interface = POINTS[self.point].interface
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(interface)
        manager.register(driver, name="driver")
        manager.check_pending()
        for name, method in vars(interface).items():
            if not hasattr(method, f"{PROJECT}_spec") or is_optional(method):
                continue
            implementations = getattr(manager.hook, name).get_hookimpls()
            assert implementations, f"{type(driver).__name__}.{name} is missing or not marked @hookimpl"
            wanted = inspect.iscoroutinefunction(method)
            given = inspect.iscoroutinefunction(implementations[0].function)
            assert wanted == given, f"{name} must {'' if wanted else 'not '}be a coroutine function"
