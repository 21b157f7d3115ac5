"""A real agent and a real server, over TLS on the loopback."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from agents_site import Site, until

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as made:
        yield made


def test_vms_outlive_their_agent_and_its_server(site: Site) -> None:
    """A host joins with a token, is Up with its size, runs a VM; neither end's `kill -9` touches the VM."""
    site.open()
    agent = site.agents["host1"]
    # Up at once, with the size that the kernel says; the driver's word follows.
    until(
        "the driver's size is known", lambda: (site.host(agent)["cpunumber"], site.host(agent)["cpuspeed"]) == (8, 2500)
    )
    vm = site.deploy("vm1")
    assert site.vm(vm)["state"] == "Running"
    [(_, pid)] = site.runs_of(vm)

    agent.kill()
    agent.start()
    site.until_state(agent, "Up")
    assert site.runs_of(vm) == [("host1", pid)]

    site.servers[0].kill()
    site.servers[0].start()
    site.servers[0].await_api()
    site.use(site.servers[0])
    site.until_state(agent, "Up")
    assert site.runs_of(vm) == [("host1", pid)]
    assert site.vm(vm)["state"] == "Running"

    os.kill(pid, signal.SIGKILL)  # the VM crashes: its end is an event, and it is restarted under a new permit
    until("the VM runs again", lambda: [p for _, p in site.runs_of(vm) if p != pid], 30)
    until("the API says so", lambda: site.vm(vm)["state"] == "Running", 30)
    site.client.run("stopVirtualMachine", id=vm)
    assert site.runs_of(vm) == []
