"""The mark of a run in its domain's metadata: which VM, and which run of it."""

from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

NAMESPACE = "https://holdfast.dev/kvm/run/1"
PREFIX = "holdfast"
_TAG = f"{{{NAMESPACE}}}run"

ElementTree.register_namespace(PREFIX, NAMESPACE)


@dataclass(frozen=True, slots=True)
class RunMark:
    """What the metadata says."""

    vm_uuid: str
    run_epoch: int

    def element(self) -> Element:
        """As it stands in a domain's `<metadata>`."""
        return Element(_TAG, {"vm": self.vm_uuid, "epoch": str(self.run_epoch)})


def read_mark(text: str) -> RunMark | None:
    """The mark in a piece of XML that libvirt gave (a domain, or its metadata element); None if there is none."""
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - libvirtd's own answer
    except ElementTree.ParseError:
        return None
    found = root if root.tag in (_TAG, "run") else root.find(f"./metadata/{_TAG}")
    if found is None:
        return None
    try:
        return RunMark(found.attrib["vm"], int(found.attrib["epoch"]))
    except (KeyError, ValueError):
        return None


def remarked(domain: str, mark: RunMark) -> str:
    """A domain's XML with another mark in place of the one it has."""
    root = ElementTree.fromstring(domain)  # noqa: S314 - libvirtd's own answer
    metadata = root.find("metadata")
    if metadata is None:
        metadata = ElementTree.SubElement(root, "metadata")
    for old in metadata.findall(_TAG):
        metadata.remove(old)
    metadata.append(mark.element())
    return ElementTree.tostring(root, encoding="unicode")
