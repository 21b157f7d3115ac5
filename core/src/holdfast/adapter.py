"""Between a caller and a driver: checks that the driver keeps its contract, then lets calls through.

A driver need not subclass its interface, may take fewer arguments than the interface gives, and may leave optional
methods out. The adapter hides all that. Everything is resolved once, when the driver is loaded; a method that takes
what the interface gives is bound directly and costs nothing.
"""

import functools
import inspect
from collections.abc import Callable
from difflib import get_close_matches
from operator import itemgetter
from typing import Any

import pluggy

from holdfast.hooks.markers import PROJECT, is_optional
from holdfast.hooks.points import Point
from holdfast.wording import listed

_ANY_ARGUMENTS = inspect.Parameter.VAR_POSITIONAL


def contract(interface: type) -> dict[str, Callable[..., Any]]:
    """The methods of an interface that are hooks, by name, in the order in which they are declared."""
    return {
        name: member
        for name, member in vars(interface).items()
        if inspect.isfunction(member) and hasattr(member, f"{PROJECT}_spec")
    }


def attributes(interface: type) -> tuple[str, ...]:
    """The public class attributes of an interface that a driver may set."""
    return tuple(name for name, value in vars(interface).items() if not name.startswith("_") and not callable(value))


def faults(point: Point, driver_class: type) -> list[str]:
    """Everything in which `driver_class` breaks the contract of `point`, in words; empty if it keeps it.

    pluggy compares signatures and finds methods that no interface knows. It does not notice a method that is absent,
    unmarked or of the wrong kind (plain for async), so those are checked here.
    """
    found: list[str] = []
    methods = contract(point.interface)
    implemented = _implementations(point, driver_class, found)
    if implemented is None:
        return found
    for name, spec in methods.items():
        function = implemented.get(name)
        if function is None:
            found.extend(_absence(point, driver_class, name, spec))
        else:
            found.extend(_kind_faults(name, spec, function))
    found.extend(_near_misses(point, driver_class, set(methods) - set(implemented)))
    return found


def adapt(point: Point, driver: object, label: str) -> Any:
    """An object with all of the interface's methods and attributes, answered by `driver`.

    Callers may pass arguments by position or by name. Attributes are copied now. `label` shows in its repr.
    The driver's class must have no `faults`.
    """
    adapter_class = type(f"{point.interface.__name__}Adapter", (point.interface,), {"__repr__": lambda _self: label})
    adapter = adapter_class()
    adapter.__dict__["_driver"] = driver
    for name in attributes(point.interface):
        if hasattr(driver, name):
            adapter.__dict__[name] = getattr(driver, name)
    for name, spec in contract(point.interface).items():
        method = _method_of(driver, name)
        if method is not None:
            adapter.__dict__[name] = _forwarder(spec, method)
    return adapter


def unwrap(adapter: Any) -> Any:
    """The driver itself behind an adapter: for tests and for a distribution that reaches its own driver."""
    return adapter.__dict__["_driver"]


def offers(interface: type, driver: Any, name: str) -> bool:
    """Whether a driver, behind an adapter or not, has the optional method itself, and not only its interface's."""
    return name in vars(driver) or getattr(type(driver), name, None) not in (None, vars(interface)[name])


def _implementations(point: Point, driver_class: type, found: list[str]) -> dict[str, Callable[..., Any]] | None:
    # A manager of its own for each driver: one that fails its checks leaves nothing behind for the next.
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(point.interface)
    try:
        manager.register(driver_class, driver_class.__name__)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        found.append(_explain(point, driver_class, error))
        return None
    implemented = {}
    for name in contract(point.interface):
        for implementation in getattr(manager.hook, name).get_hookimpls():
            if implementation.function.__name__ != name and implementation.opts.get("specname"):
                found.append(f"method {implementation.function.__name__} uses specname; name the method {name}")
            if implementation.wrapper or implementation.hookwrapper:
                found.append(f"method {name} is a hook wrapper; a driver answers by itself")
            implemented[name] = implementation.function
    return implemented


def _explain(point: Point, driver_class: type, error: pluggy.PluginValidationError) -> str:
    """pluggy's complaint on one line, with the interface's own signature or the nearest method beside it."""
    methods = contract(point.interface)
    unknown = [
        name
        for name in dir(driver_class)
        if name not in methods and hasattr(inspect.getattr_static(driver_class, name), f"{PROJECT}_impl")
    ]
    if unknown:
        close = get_close_matches(unknown[0], methods, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; there are: {listed(methods)}"
        return f"method {unknown[0]} is not one of {point.interface.__name__}{hint}"
    for name, spec in methods.items():
        if f"hook {name!r}" in str(error):
            own = inspect.signature(inspect.getattr_static(driver_class, name))
            return f"method {name} has the wrong signature: it is {own}, the interface gives {inspect.signature(spec)}"
    return " ".join(str(error).split())


def _absence(point: Point, driver_class: type, name: str, spec: Callable[..., Any]) -> list[str]:
    own = inspect.getattr_static(driver_class, name, None)
    if own is not None and own is not vars(point.interface)[name]:
        return [f"method {name} is there but not marked @hookimpl (from holdfast.hooks.markers)"]
    if not is_optional(spec):
        return [f"lacks the mandatory method {name}{inspect.signature(spec)}"]
    return []


def _near_misses(point: Point, driver_class: type, absent: set[str]) -> list[str]:
    """Unmarked methods that look like a misspelt hook: without this, a misspelt optional one is silently unused."""
    found = []
    for name, member in vars(driver_class).items():
        if name.startswith("_") or not inspect.isfunction(member) or name in contract(point.interface):
            continue
        close = get_close_matches(name, absent, n=1, cutoff=0.9)
        if close:
            found.append(f"method {name} looks like {close[0]} misspelt")
    return found


def _kind_faults(name: str, spec: Callable[..., Any], function: Callable[..., Any]) -> list[str]:
    inner = inspect.unwrap(function)
    if inspect.iscoroutinefunction(spec) != inspect.iscoroutinefunction(inner):
        wanted, got = ("async def", "def") if inspect.iscoroutinefunction(spec) else ("def", "async def")
        return [f"method {name} must be `{wanted}`, not `{got}`: its result would never be seen"]
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        return [f"method {name} is a generator: calling it would do nothing"]
    known = set(inspect.signature(spec).parameters)
    extra = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    ]
    return [f"method {name} asks for {which}, which no caller gives" for which in extra if which not in known]


def _method_of(driver: object, name: str) -> Callable[..., Any] | None:
    static = inspect.getattr_static(driver, name, None)
    function = getattr(static, "__func__", static)
    return getattr(driver, name) if hasattr(function, f"{PROJECT}_impl") else None


def _forwarder(spec: Callable[..., Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """`method` itself if it takes all that `spec` gives, in that order; else a function that hands over its part."""
    signature = _without_self(spec)
    given = tuple(signature.parameters)
    parameters = inspect.signature(method).parameters
    taken = [name for name in parameters if name in given]
    leading = tuple(parameters)[: len(given)]
    if leading == given or any(parameter.kind is _ANY_ARGUMENTS for parameter in parameters.values()):
        return method
    names_in_order = tuple(parameters)[: len(taken)] == tuple(taken)
    positional = names_in_order and not any(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in taken)
    pick = _picker([given.index(name) for name in taken])

    @functools.wraps(method)
    def forward(*args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != len(given):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            args = tuple(bound.arguments[name] for name in given)
        values = pick(args)
        return method(*values) if positional else method(**dict(zip(taken, values, strict=True)))

    return forward


def _picker(indexes: list[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    if not indexes:
        return lambda _values: ()
    if len(indexes) == 1:
        only = indexes[0]
        return lambda values: (values[only],)
    return itemgetter(*indexes)


def _without_self(spec: Callable[..., Any]) -> inspect.Signature:
    signature = inspect.signature(spec)
    return signature.replace(parameters=list(signature.parameters.values())[1:])
