"""A VM as the restart order sees it."""

from holdfast.engine.restart_order import RestartItem
from holdfast.model import Vm, VmType

_SYSTEM = frozenset({VmType.ROUTER, VmType.ELASTIC_LOAD_BALANCER, VmType.CONSOLE_PROXY, VmType.SECONDARY_STORAGE})


def restart_item(vm: Vm) -> RestartItem:
    """System VMs first, then priority, dependencies and size."""
    return RestartItem(
        vm.uuid, vm.type in _SYSTEM, vm.ha_priority, tuple(d for d in vm.depends_on.split(",") if d),
        vm.cpu * vm.cpu_speed, vm.ram, str(vm.cluster_id),
    )  # fmt: skip
