"""Operating systems that a template may say it holds. Descriptions are CloudStack's, so that its clients find them."""

import uuid
from dataclasses import dataclass

DESCRIPTIONS = (
    "AlmaLinux 8",
    "AlmaLinux 9",
    "CentOS 7",
    "Debian GNU/Linux 10 (64-bit)",
    "Debian GNU/Linux 11 (64-bit)",
    "Debian GNU/Linux 12 (64-bit)",
    "FreeBSD 13 (64-bit)",
    "Oracle Linux 8",
    "Oracle Linux 9",
    "Other (64-bit)",
    "Other Linux (64-bit)",
    "Red Hat Enterprise Linux 8.0",
    "Red Hat Enterprise Linux 9.0",
    "Rocky Linux 8",
    "Rocky Linux 9",
    "SUSE Linux Enterprise Server 15 (64-bit)",
    "Ubuntu 20.04 LTS",
    "Ubuntu 22.04 LTS",
    "Ubuntu 24.04 LTS",
    "Windows 10 (64-bit)",
    "Windows 11 (64-bit)",
    "Windows Server 2016 (64-bit)",
    "Windows Server 2019 (64-bit)",
    "Windows Server 2022 (64-bit)",
)
UNKNOWN = "Other (64-bit)"
"""What a template holds that does not say: clients such as libcloud expect an answer."""


@dataclass(frozen=True, slots=True)
class OsType:
    """One of them. `id` is the same on every server, so that it needs no row."""

    id: str
    description: str


def os_type(description: str) -> OsType:
    """Any description has an id, so that a template may also say what is not in the list."""
    return OsType(str(uuid.uuid5(uuid.NAMESPACE_URL, f"holdfast:ostype:{description}")), description)


OS_TYPES = tuple(os_type(description) for description in DESCRIPTIONS)
_BY_ID = {one.id: one for one in OS_TYPES}


def described(text: str) -> str:
    """The description for what a client gave as `ostypeid`: the id of one that is listed, or words of its own."""
    found = _BY_ID.get(text.strip().lower())
    return found.description if found else text.strip()
