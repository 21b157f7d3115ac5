"""Which hosts' certificates come to their end without having been renewed. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

from holdfast.model.administration import HostCertificate

RENEWED_AFTER = 2 / 3
"""An agent renews its certificate once so much of its life is over."""
LATE_AFTER = 3 / 4
"""By then it should have been: something keeps the agent from it."""
_DAY = 86400.0


def newest_by_host(rows: Iterable[HostCertificate]) -> dict[str, HostCertificate]:
    """Host uuid -> the certificate that admits it for longest, of those that are not revoked."""
    found: dict[str, HostCertificate] = {}
    for row in rows:
        known = found.get(row.host_uuid)
        if row.revoked is None and (known is None or row.expires > known.expires):
            found[row.host_uuid] = row
    return found


def ending(certificate: HostCertificate, now: float) -> str:
    """What is to be said of a host's newest certificate at `now` (seconds since 1970); "" if it has time."""
    life = certificate.expires - certificate.issued
    if now < certificate.issued + life * LATE_AFTER:
        return ""
    remedy = "see to its agent (systemctl status holdfast-agent), which renews it whenever it is connected"
    if now >= certificate.expires:
        again = "the agent cannot connect any more: make a new join token and let the host join again"
        return f"its certificate ended {_ago(now - certificate.expires)} ago, on {day_of(certificate.expires)}: {again}"
    return f"its certificate ends in {_ago(certificate.expires - now)}, on {day_of(certificate.expires)}: {remedy}"


def day_of(at: float) -> str:
    """A day, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _ago(seconds: float) -> str:
    if seconds >= 2 * _DAY:
        return f"{seconds / _DAY:.0f} days"
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"
