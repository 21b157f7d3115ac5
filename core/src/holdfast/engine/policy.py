"""The numbers by which one host is judged, read once from the settings in effect for its cluster."""

from collections.abc import Mapping
from math import floor
from typing import NamedTuple

from holdfast.settings import Settings


class HostPolicy(NamedTuple):
    """All times in seconds. See the settings of the same names for what they mean."""

    activity_interval: float
    dead_needed: int
    alive_needed: int
    degraded_max: float
    recovery_attempts: int
    recovery_wait: float
    power_check: bool
    power_interval: float
    power_max_interval: float
    off_needed: int
    fence_off_needed: int
    fence_timeout: float
    fence_retry: float
    fence_retry_max: float
    fence_max_attempts: int
    stale_after: float
    dead_by_lease_after: float
    brake_fraction: float
    brake_min_hosts: int
    power_on_after_fence: bool


def host_policy(
    settings: Settings, *, zone: int = 0, cluster: int = 0, provider_defaults: Mapping[str, str] | None = None
) -> HostPolicy:
    """The policy in effect for hosts of one cluster under one provider."""

    def number(name: str) -> float:
        return float(settings.value(name, zone=zone, cluster=cluster, provider_defaults=provider_defaults))

    attempts, ratio = number("kvm.ha.activity.check.max.attempts"), number("kvm.ha.activity.check.failure.ratio")
    return HostPolicy(
        activity_interval=number("kvm.ha.activity.check.interval"),
        dead_needed=floor(attempts * ratio) + 1,
        alive_needed=int(number("kvm.ha.activity.check.success.threshold")),
        degraded_max=number("kvm.ha.degraded.max.period"),
        recovery_attempts=int(number("kvm.ha.recover.failure.threshold")),
        recovery_wait=number("kvm.ha.recover.wait.period"),
        power_check=bool(number("kvm.ha.power.off.check.enabled")),
        power_interval=number("kvm.ha.power.check.interval"),
        power_max_interval=number("kvm.ha.power.off.max.interval"),
        off_needed=int(number("kvm.ha.power.off.confirmations")),
        fence_off_needed=int(number("kvm.ha.fence.power.off.confirmations")),
        fence_timeout=number("kvm.ha.fence.timeout"),
        fence_retry=number("ha.fence.retry.interval"),
        fence_retry_max=number("ha.fence.retry.max.interval"),
        fence_max_attempts=int(number("ha.fence.max.attempts")),
        stale_after=number("ha.storage.beat.stale"),
        dead_by_lease_after=number("ha.storage.lease") + number("ha.watchdog.time") + number("ha.watchdog.margin"),
        brake_fraction=number("ha.brake.fraction"),
        brake_min_hosts=int(number("ha.brake.min.hosts")),
        power_on_after_fence=bool(number("ha.power.on.after.fence")),
    )
