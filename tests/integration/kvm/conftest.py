"""Hosts with a real libvirtd, drivers on them, and VMs for them."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from holdfast.model.views import DiskSpec, PoolView, VmSpec
from holdfast_lab.guest.image import guest_image

sys.path.insert(0, str(Path(__file__).parent))

from kvm_host import KvmHost
from real_libvirt import LibvirtHost, need_packages


@pytest.fixture(scope="session")
def packages() -> None:
    """What the tests run against."""
    need_packages()


@pytest.fixture(scope="session")
def guest(packages: None, shared: Callable[..., Path]) -> Path:
    """The template of guests that write tokens."""
    return guest_image(shared("guest", guest_image))


@pytest.fixture
def make_libvirt(packages: None, tmp_path: Path) -> Iterator[Callable[[str], LibvirtHost]]:
    """Makes hosts by name, switched on."""
    with contextlib.ExitStack() as stack:

        def make(name: str) -> LibvirtHost:
            host = LibvirtHost(tmp_path / name, f"{name}-{uuid4().hex[:6]}")
            stack.callback(host.end)
            host.boot()
            return host

        yield make


@pytest.fixture
def libvirt_host(make_libvirt: Callable[[str], LibvirtHost]) -> LibvirtHost:
    """One host."""
    return make_libvirt("one")


@pytest.fixture
def kvm(libvirt_host: LibvirtHost) -> KvmHost:
    """One host with the driver on it."""
    return KvmHost(libvirt_host)


@pytest.fixture
def pool(tmp_path: Path) -> PoolView:
    """Local storage."""
    folder = tmp_path / "pool"
    folder.mkdir()
    return PoolView("pool-1", "pool-1", "Filesystem", "", path=str(folder))


@pytest.fixture
def new_vm(pool: PoolView) -> Callable[..., VmSpec]:
    """VMs, another one at each call; with a template they boot it, without one they have a blank disk."""

    def make(template: Path | None = None, **values: Any) -> VmSpec:
        uuid = str(uuid4())
        disk = DiskSpec(pool, uuid, size=16 << 20, template=str(template) if template else "")
        return VmSpec(**{
            "uuid": uuid, "name": f"vm-{uuid[:8]}", "instance_name": f"i-2-{uuid[:8]}-VM", "cpu": 1, "cpu_speed": 500,
            "ram": 96 if template else 32, "disks": (disk,), **values,
        })  # fmt: skip

    return make
