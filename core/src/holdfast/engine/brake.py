"""The brake (S7): when too many hosts of a failure domain go silent together, something else is broken.

It holds fencing and recovery. It never holds a restart whose proof is already there.
"""

from math import floor
from typing import NamedTuple

from holdfast.engine.incident import Alarm
from holdfast.engine.policy import HostPolicy


class Domain(NamedTuple):
    """A failure domain as the census sees it: hosts with HA on, and how many of them are silent or being fenced."""

    name: str
    total: int
    silent: int


def limit(total: int, policy: HostPolicy) -> int:
    """How many hosts of a domain of `total` may be silent at once without tripping the brake."""
    return max(policy.brake_min_hosts, floor(policy.brake_fraction * total))


def held(domains: tuple[Domain, ...], policy: HostPolicy) -> str:
    """Why fencing is held, naming the domain and the numbers; "" if it is not."""
    domain = full(domains, policy)
    if domain is None:
        return ""
    return (
        f"{domain.silent} of {domain.total} hosts of {domain.name} are silent at once, more than "
        f"{limit(domain.total, policy)}: a shared cause is likelier than that many dead hosts"
    )


def full(domains: tuple[Domain, ...], policy: HostPolicy) -> Domain | None:
    """The first domain with more silent hosts than the brake lets pass, or None."""
    return next((domain for domain in domains if domain.silent > limit(domain.total, policy)), None)


def alarm(domains: tuple[Domain, ...], policy: HostPolicy) -> Alarm:
    """What to tell operators of a brake that holds. It is about the domain: one of its hosts speaks for all."""
    domain = full(domains, policy)
    return Alarm("ALERT.HA.BRAKE", held(domains, policy), domain.name if domain else "")
