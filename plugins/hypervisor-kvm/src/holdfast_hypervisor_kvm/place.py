"""Where an image is, as QEMU and libvirt are told: a file, a block device, or a path on an NFS or iSCSI server."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement


@dataclass(frozen=True, slots=True)
class Place:
    """One image. `path` is absolute for files, devices and NFS; for iSCSI it is "target/lun". `port` 0: the usual one.

    `locks` says whether the storage refuses a second writer: QEMU's own lock works on files that the kernel opened,
    on network file systems too; there is none on `nfs://`, on `iscsi://`, nor between hosts on a block device.
    """

    kind: Literal["file", "block", "nfs", "iscsi"]
    path: str
    address: str = ""
    port: int = 0

    @property
    def url(self) -> str:
        """As `qemu-img` takes it."""
        if self.kind in ("file", "block"):
            return self.path
        return f"{self.kind}://{self._authority}/{quote(self.path.lstrip('/'), safe='/:')}"

    @property
    def locks(self) -> bool:
        """Whether a second writer on any host is refused."""
        return self.kind == "file"

    @property
    def _authority(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}" if self.port and self.kind == "iscsi" else address

    def source(self, parent: Element) -> str:
        """Add libvirt's `<source>` to a disk; returns the type that the disk must have."""
        if self.kind in ("file", "block"):
            attribute = "file" if self.kind == "file" else "dev"
            SubElement(parent, "source", {attribute: self.path})
            return self.kind
        source = SubElement(parent, "source", {"protocol": self.kind, "name": self.path})
        host = {"name": self.address}
        if self.kind == "iscsi":
            host["port"] = str(self.port or 3260)
        SubElement(source, "host", host)
        return "network"
