"""VM HA on real VMs: a server, agents, libvirt and QEMU."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from holdfast_lab.guest.tokens import read_tokens
from kvm_site import KvmSite, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(packages: None, guest: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KvmSite]:
    with KvmSite(tmp_path_factory.mktemp("vm-ha") / "site", guest) as made:
        made.open(hosts=2)
        yield made


def _running(site: KvmSite, vm: str) -> bool:
    return bool(site.vm(vm)["state"] == "Running")


def test_hosts_are_as_large_as_they_are(site: KvmSite) -> None:
    """CPUs and memory, as libvirt sees them."""
    for agent in site.agents.values():
        shown = site.host(agent)
        assert shown["cpunumber"] == os.cpu_count()
        assert shown["memorytotal"] > 2**29
        assert shown["cpuspeed"] > 100


def test_a_killed_qemu_is_restarted_on_its_host(site: KvmSite) -> None:
    """Once, under a new permit, with the reason in the events."""
    vm = site.deploy("crashes", site.agents["host1"])
    [(host, pid)] = site.where(vm)
    assert host == "host1"
    os.kill(pid, signal.SIGKILL)
    until("it runs again", lambda: [p for _, p in site.where(vm) if p != pid], 30)
    until("the API says so", lambda: _running(site, vm) and site.vm(vm)["runepoch"] == 2, 30)
    assert [name for name, _ in site.where(vm)] == ["host1"]
    told = [event["description"] for event in site.client.items("listEvents", keyword="QEMU process ended")]
    assert any("crashed: its QEMU process ended unexpectedly" in text for text in told), told


def test_a_crash_loop_ends_visibly(site: KvmSite) -> None:
    """At the limit the VM stays down, says why, and an alert is raised."""
    site.set("ha.vm.crash.limit", "2")
    vm = site.deploy("loops", site.agents["host1"])
    seen: set[int] = set()
    for _ in range(3):
        fresh = until("a new QEMU runs", lambda seen=frozenset(seen): {pid for _, pid in site.where(vm)} - seen, 30)
        until("the API says so", lambda: _running(site, vm), 30)
        seen |= fresh
        for pid in fresh:
            os.kill(pid, signal.SIGKILL)
        until("the end is known", lambda: site.vm(vm)["state"] != "Running" or site.where(vm), 30)
    until("it is left stopped", lambda: site.vm(vm)["state"] == "Stopped", 30)
    assert site.where(vm) == []
    assert "ha.vm.crash.limit" in site.vm(vm)["reason"]
    assert [alert for alert in site.alerts() if "loops" in alert["description"]]
    site.set("ha.vm.crash.limit", "100")


def test_a_guest_that_shuts_itself_down_stays_down(site: KvmSite, tmp_path: Path) -> None:
    """Its owner did it. One that does so while the agent is away, too."""
    site.set("ha.vm.crash.limit", "100")
    agent = site.agents["host2"]
    vm = site.deploy("leaves", agent)
    for away in (False, True):
        [(_, pid)] = until("it runs", lambda: site.where(vm), 30)
        _await_boot(site, vm)
        if away:
            agent.kill()
        agent.libvirt.virsh("shutdown", "--mode", "acpi", vm)
        until("its QEMU ends", lambda pid=pid: not Path(f"/proc/{pid}").exists(), 60)
        if away:
            agent.start()
        until("it is stopped", lambda: site.vm(vm)["state"] == "Stopped", 60)
        assert "shut itself down" in site.vm(vm)["reason"]
        assert site.where(vm) == []
        if not away:
            site.client.run("startVirtualMachine", id=vm, hostid=agent.uuid)


def _await_boot(site: KvmSite, vm: str) -> None:
    epoch = site.vm(vm)["runepoch"]
    image = str(site.storage / f"{vm}.qcow2")
    until("the guest is up", lambda: any(token.run == epoch for token in read_tokens(image)), 120)


def test_neither_agent_nor_libvirtd_takes_a_vm_with_it(site: KvmSite) -> None:
    """Both are killed; the VM goes on, is not restarted, and its crash is heard of afterwards."""
    agent = site.agents["host1"]
    vm = site.deploy("stays", agent)
    [(_, pid)] = site.where(vm)
    agent.kill()
    agent.libvirt.signal("libvirtd", signal.SIGKILL)
    agent.libvirt.wait_until_it_answers()
    agent.start()
    site.until_state(agent, "Up")
    began = time.monotonic()
    while time.monotonic() - began < 5:
        assert [p for _, p in site.where(vm)] == [pid]
        time.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    until("it runs again", lambda: [p for _, p in site.where(vm) if p != pid], 30)


def test_a_vm_moves_by_order(site: KvmSite) -> None:
    """Live: the same guest goes on there, under the next run, and is gone here; its host's crash is its own again."""
    source, target = site.agents["host1"], site.agents["host2"]
    vm = site.deploy("moves", source)
    _await_boot(site, vm)
    token = read_tokens(str(site.storage / f"{vm}.qcow2"))[0]
    site.client.run("migrateVirtualMachine", virtualmachineid=vm, hostid=target.uuid)
    [(host, pid)] = site.where(vm)
    assert host == "host2"
    shown = site.vm(vm)
    assert (shown["state"], shown["hostid"], shown["runepoch"]) == ("Running", target.uuid, 2)

    def goes_on() -> bool:
        [now] = read_tokens(str(site.storage / f"{vm}.qcow2"))
        return now.token == token.token and now.count > token.count

    until("the guest goes on", goes_on, 60)
    os.kill(pid, signal.SIGKILL)
    until("it is restarted", lambda: [p for _, p in site.where(vm) if p != pid] and _running(site, vm), 60)
    assert site.vm(vm)["runepoch"] == 3


def test_a_stop_by_order_ends_it_everywhere(site: KvmSite) -> None:
    """And a destroyed VM is gone."""
    vm = site.deploy("ends")
    site.client.run("stopVirtualMachine", id=vm)
    assert site.where(vm) == []
    assert site.vm(vm)["state"] == "Stopped"
    disk = site.storage / f"{vm}.qcow2"
    assert disk.exists()
    site.client.run("destroyVirtualMachine", id=vm, expunge="true")
    assert site.where(vm) == []
    assert not disk.exists()
