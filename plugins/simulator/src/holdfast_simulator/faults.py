"""The kinds of fault: how each is brought about in a running world, and how it is mended.

Orders of operators are among them: they come at the worst moments, and what they undo is undone in the end.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.model import GuestState
from holdfast.wording import listed, nearest

from holdfast_simulator.scenario import Fault, Scenario
from holdfast_simulator.world.bmc import BmcMode
from holdfast_simulator.world.host import device_key
from holdfast_simulator.world.network import AGENT, BMC, COORDINATOR, DATABASE, STORAGE

if TYPE_CHECKING:
    from holdfast_simulator.session import Session

Act = Callable[["Session", Fault], None]
WAYS = ("both", "to", "from")


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind. `needs` are the fields that name what it strikes; `strike` does it, `mend` undoes it.

    `may` are fields that it also takes; `modes` are what its `mode` may be.
    """

    summary: str
    needs: tuple[str, ...]
    strike: Act
    mend: Act
    may: tuple[str, ...] = ()
    modes: tuple[str, ...] = tuple(BmcMode)


def _nothing(session: "Session", fault: Fault) -> None:
    """There is nothing to undo."""


def _power_loss(session: "Session", fault: Fault) -> None:
    session.world.host(fault.host).power_off("power loss")


def _power_back(session: "Session", fault: Fault) -> None:
    session.world.host(fault.host).power_on("power is back")


def _cut(kind: str, up: bool) -> Act:
    """Cut or mend a server's path to a host, or to a service; `way` is seen from the server."""

    def act(session: "Session", fault: Fault) -> None:
        there = fault.host if kind in (AGENT, BMC) else kind
        if fault.way in ("both", "to"):
            session.world.network.set_up(kind, fault.server, there, up, both_ways=False)
        if fault.way in ("both", "from"):
            session.world.network.set_up(kind, there, fault.server, up, both_ways=False)

    return act


def _cut_storage(up: bool) -> Act:
    def act(session: "Session", fault: Fault) -> None:
        session.world.network.set_up(STORAGE, fault.host, fault.pool, up)

    return act


def _isolate(up: bool) -> Act:
    """Cut a host off everything: every server's agent and BMC path, and all storage."""

    def act(session: "Session", fault: Fault) -> None:
        network = session.world.network
        for server in session.server_names:
            network.set_up(AGENT, server, fault.host, up)
            network.set_up(BMC, server, fault.host, up)
        for pool in session.world.pools:
            network.set_up(STORAGE, fault.host, pool, up)

    return act


def _isolate_server(up: bool) -> Act:
    """Cut a management server off everything: hosts, BMCs, database, coordinator."""

    def act(session: "Session", fault: Fault) -> None:
        network = session.world.network
        for host in session.world.hosts:
            network.set_up(AGENT, fault.server, host, up)
            network.set_up(BMC, fault.server, host, up)
        network.set_up(DATABASE, fault.server, DATABASE, up)
        network.set_up(COORDINATOR, fault.server, COORDINATOR, up)

    return act


def _degrade(**conditions: float) -> Act:
    """Make a server's agent path to a host bad; `amount` scales delays."""

    def act(session: "Session", fault: Fault) -> None:
        scaled = {
            name: value * (fault.amount or 1.0) if name in ("delay", "jitter", "reorder_delay") else value
            for name, value in conditions.items()
        }
        session.world.network.degrade(AGENT, fault.server, fault.host, **scaled)

    return act


def _clean(session: "Session", fault: Fault) -> None:
    session.world.network.degrade(
        AGENT, fault.server, fault.host, delay=0.0005, jitter=0, duplicate=0, reorder=0, reorder_delay=0, loss=0
    )


def _bmc(session: "Session", fault: Fault) -> None:
    session.world.host(fault.host).bmc(fault.device or "1").set_mode(BmcMode(fault.mode))


def _bmc_ok(session: "Session", fault: Fault) -> None:
    session.world.host(fault.host).bmc(fault.device or "1").set_mode(BmcMode.OK)


KINDS: dict[str, FaultKind] = {
    "power-loss": FaultKind("a host loses power", ("host",), _power_loss, _power_back),
    "hang": FaultKind(
        "a host's kernel stands still", ("host",),
        lambda s, f: s.world.host(f.host).hang(), lambda s, f: s.world.host(f.host).unhang(),
    ),
    "agent-death": FaultKind(
        "a host's agent dies; VMs and storage beats go on", ("host",),
        lambda s, f: s.world.host(f.host).kill_agent(), lambda s, f: s.world.host(f.host).start_agent(),
    ),
    "agent-freeze": FaultKind(
        "a host's agent stands still, and its storage beats with it; VMs go on", ("host",),
        lambda s, f: s.world.host(f.host).freeze_agent(), lambda s, f: s.world.host(f.host).thaw_agent(),
    ),
    "cut-agent": FaultKind("a link to a host is cut", ("host", "server"), _cut(AGENT, False), _cut(AGENT, True)),
    "cut-bmc": FaultKind("a server's link to a BMC is cut", ("host", "server"), _cut(BMC, False), _cut(BMC, True)),
    "cut-storage": FaultKind("a path to a pool is cut", ("host", "pool"), _cut_storage(False), _cut_storage(True)),
    "isolate-host": FaultKind("a host is cut off from everything", ("host",), _isolate(False), _isolate(True)),
    "isolate-server": FaultKind(
        "a management server is cut off from everything", ("server",), _isolate_server(False), _isolate_server(True)
    ),
    "pool-down": FaultKind(
        "a pool answers nobody", ("pool",),
        lambda s, f: s.world.set_pool(f.pool, up=False), lambda s, f: s.world.set_pool(f.pool, up=True),
    ),
    "pool-slow": FaultKind(
        "writes to a pool take `amount` seconds (1.5)", ("pool",),
        lambda s, f: s.world.set_pool(f.pool, latency=f.amount or 1.5),
        lambda s, f: s.world.set_pool(f.pool, latency=0.01),
    ),
    "bmc": FaultKind("a BMC, or the fence device `device`, behaves as `mode` says", ("host", "mode"), _bmc, _bmc_ok),
    "clock-jump": FaultKind(
        "a server's wall clock jumps by `amount` seconds", ("server",),
        lambda s, f: s.skew(f.server, f.amount or 3600.0), lambda s, f: s.skew(f.server, 0.0),
    ),
    "server-crash": FaultKind(
        "a management server is killed, at its `step`-th next step if given, and started `lasts` seconds later",
        ("server",), lambda s, f: s.kill(f.server, f.step), lambda s, f: s.start_server(f.server),
    ),
    "delay": FaultKind("messages take up to `amount` seconds (1)", ("host", "server"), _degrade(jitter=1.0), _clean),
    "duplicate": FaultKind("messages come twice", ("host", "server"), _degrade(duplicate=0.5, jitter=0.3), _clean),
    "reorder": FaultKind(
        "messages overtake each other by up to `amount` seconds", ("host", "server"),
        _degrade(reorder=0.5, reorder_delay=3.0), _clean,
    ),
    "loss": FaultKind("every third message is lost", ("host", "server"), _degrade(loss=0.33), _clean),
    "cut-database": FaultKind(
        "a server cannot reach the database", ("server",), _cut(DATABASE, False), _cut(DATABASE, True)
    ),
    "cut-coordinator": FaultKind(
        "a server cannot reach the coordinator", ("server",), _cut(COORDINATOR, False), _cut(COORDINATOR, True)
    ),
    "guest-crash": FaultKind(
        "a VM's guest crashes", ("vm",), lambda s, f: s.end_guest(f.vm, GuestState.CRASHED), _nothing
    ),
    "start-failure": FaultKind(
        "a host refuses every start", ("host",), lambda s, f: s.fail_starts(f.host, "no such machine type"),
        lambda s, f: s.fail_starts(f.host, ""),
    ),
    "order-stop": FaultKind(
        "an operator stops a VM (`mode` forced: without asking its guest), and starts it again", ("vm",),
        lambda s, f: s.operator.stop(f.vm, f.mode == "forced"), lambda s, f: s.operator.start(f.vm),
        may=("mode",), modes=("forced",),
    ),
    "order-reboot": FaultKind("an operator reboots a VM", ("vm",), lambda s, f: s.operator.reboot(f.vm), _nothing),
    "order-migrate": FaultKind(
        "an operator moves a VM, to `host` if one is given", ("vm",),
        lambda s, f: s.operator.migrate(f.vm, f.host), _nothing, may=("host",),
    ),
    "order-ha-off": FaultKind(
        "an operator switches host HA off for a host, and on again", ("host",),
        lambda s, f: s.operator.host(f.host, "disableHAForHost", "hostid"),
        lambda s, f: s.operator.host(f.host, "enableHAForHost", "hostid"),
    ),
    "order-maintenance": FaultKind(
        "an operator puts a host into maintenance, and takes it back", ("host",),
        lambda s, f: s.operator.host(f.host, "prepareHostForMaintenance"),
        lambda s, f: s.operator.host(f.host, "cancelHostMaintenance"),
    ),
}  # fmt: skip
"""All kinds by name."""


def check_kinds(kinds: tuple[str, ...], where: str) -> None:
    """`ConfigurationError` if one of them is not known."""
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigurationError(f"{where}: {kind} is not a kind{nearest(kind, KINDS)}; known: {listed(KINDS)}")


def check_fault(fault: Fault, scenario: Scenario, where: str) -> None:
    """`ConfigurationError` if the fault cannot be meant."""
    check_kinds((fault.kind,), where)
    world = scenario.world
    there = {"host": ("h", world.hosts), "server": ("ms", world.servers), "pool": ("p", world.pools)}
    there["vm"] = ("vm", world.vms)
    kind = KINDS[fault.kind]
    for name in (*kind.needs, *(name for name in kind.may if getattr(fault, name))):
        value = getattr(fault, name)
        if name == "mode":
            if value not in kind.modes:
                raise ConfigurationError(f"{where}: mode {value!r} is not known; known: {listed(kind.modes)}")
            continue
        prefix, count = there[name]
        if value not in {f"{prefix}{number}" for number in range(1, count + 1)}:
            raise ConfigurationError(f"{where}: {name} {value!r} is not there; there are {prefix}1 to {prefix}{count}")
    devices = [device_key(level, index) for level, index, _ in world.devices()]
    if fault.device and fault.device not in devices:
        raise ConfigurationError(f"{where}: device {fault.device!r} is not there; there are {listed(devices)}")
    if fault.way not in WAYS:
        raise ConfigurationError(f"{where}: way {fault.way!r} is not known; known: {listed(WAYS)}")
    for name in ("at", "lasts", "amount"):
        value = getattr(fault, name)
        sign = "" if name == "amount" else " and must not be negative"
        if not math.isfinite(value) or (value < 0 and name != "amount"):
            raise ConfigurationError(f"{where}: {name} is {value}; it must be finite{sign}")
