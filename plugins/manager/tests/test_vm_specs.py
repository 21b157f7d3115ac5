"""What a hypervisor is told of a VM."""

from collections.abc import Iterator

import pytest
from holdfast.model import Network, StoragePoolDetail, Template
from holdfast.model.views import NicSpec
from holdfast_manager.runs import mac_of
from manager_bed import Bed


@pytest.fixture
def bed() -> Iterator[Bed]:
    found = Bed(hosts=1, servers=1)
    yield found
    found.close()


def test_a_start_carries_disk_network_and_ha(bed: Bed) -> None:
    """The image under the disk, where the disk is, the network's VLAN and a hardware address that stays."""
    pool = bed.pools[0]
    bed.put(StoragePoolDetail(pool_id=pool, name="mount", value="/mnt/primary"))
    (network,) = bed.put(Network(uuid="n1", name="guests", display_text="", data_center_id=bed.zone, vlan="12"))
    (template,) = bed.put(
        Template(
            uuid="t9", name="t9", display_text="", hypervisor_type="Simulator", url="nfs://nas/images/t9.qcow2",
            format="QCOW2", size=1 << 30,
        )
    )  # fmt: skip
    vm_id = bed.add_vm("vm1", None, network_id=network, vm_template_id=template, root_disk="7")
    bed.run(10)
    bed.outcome(bed.job("startVirtualMachine", 1, id=vm_id, hostid=1))
    spec = bed.world.host("h1").book.guests["vm1"].spec
    (disk,) = spec.disks
    assert (disk.name, disk.format, disk.size) == ("7", "qcow2", 1 << 30)
    assert (disk.template, disk.template_format) == ("nfs://nas/images/t9.qcow2", "qcow2")
    assert (disk.pool.uuid, disk.pool.details) == ("pool1", {"mount": "/mnt/primary"})
    assert spec.nics == (NicSpec(mac_of("vm1"), "guests", "12"),)
    assert (spec.template, spec.pool, spec.network, spec.ha) == ("t9", "pool1", "n1", True)


def test_hardware_addresses_stay_and_differ() -> None:
    """They are locally administered, of one host each, and do not change from run to run."""
    addresses = {mac_of(f"vm-{number}") for number in range(1000)}
    assert len(addresses) == 1000
    assert {address[:3] for address in addresses} == {"02:"}
    assert mac_of("vm-1") == mac_of("vm-1")
