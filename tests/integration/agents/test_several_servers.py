"""Two servers: whichever has an agent's connection, the host's owner hears it and can ask it."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from agents_site import Site, until
from holdfast_conformance.wire_faults import CLEAN, TcpFaultProxy, WireFaults
from holdfast_manager.membership import _weight

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, servers=2) as made:
        yield made


def owners(site: Site) -> dict[str, str]:
    """Host name → name of the server that owns it, by the coordinator's own memory."""
    query = "select c.resource, l.member from claim c join lease l on l.token = c.token"
    with closing(sqlite3.connect(site.folder / "shared" / "coordinator.db")) as database:
        found = dict(database.execute(query).fetchall())
    return {agent.name: found.get(agent.uuid, "") for agent in site.agents.values()}


def owner_to_be(host_uuid: str) -> str:
    """Which of the two servers a host falls to while both are there."""
    return max(("ms1", "ms2"), key=lambda member: _weight(member, host_uuid))


def unquiet(site: Site) -> list[str]:
    """Transitions to anything that could lead to a fence."""
    with closing(sqlite3.connect(site.folder / "shared" / "holdfast.db")) as database:
        return [row[0] for row in database.execute("select state from ha_transition where state like 'Fenc%'")]


def test_a_host_is_up_whoever_owns_it_and_wherever_it_is_connected(site: Site) -> None:
    """Hosts whose agents know the first server alone are shared out among both; VMs start on each."""
    site.open()
    # A host's uuid, which is chance, says whose it is: three hosts or more, until each server has one.
    while len(site.agents) < 3 or len({owner_to_be(agent.uuid) for agent in site.agents.values()}) < 2:
        site.add_host(f"host{len(site.agents) + 1}", [site.servers[0].address])
    until("both servers own hosts", lambda: set(owners(site).values()) == {"ms1", "ms2"})
    for agent in list(site.agents.values()):
        vm = site.deploy(f"vm-{agent.name}", agent)
        assert [host for host, _ in site.runs_of(vm)] == [agent.name]
    site.client.run("stopVirtualMachine", id=vm)
    assert site.runs_of(vm) == []
    for agent in site.agents.values():
        assert site.host(agent)["state"] == "Up"


def test_agents_go_to_the_other_server_when_theirs_dies_or_hangs(site: Site) -> None:
    """`kill -9` and SIGSTOP of the server that they are connected to: Up again under the other, no VM touched."""
    site.open(2)
    vm = site.deploy("vm1")
    runs = site.runs_of(vm)
    first, second = site.servers
    site.use(second)
    first.kill()
    until("both hosts are owned by the other", lambda: set(owners(site).values()) == {"ms2"}, 30)
    for agent in site.agents.values():
        until(f"{agent.name} says that it went", lambda agent=agent: "connected to ms2" in agent.text(), 15)
        site.until_state(agent, "Up", 30)
    first.start()
    first.await_api()
    second.signal(signal.SIGSTOP)
    site.use(first)
    for agent in site.agents.values():
        until(f"{agent.name} comes back", lambda agent=agent: _last_server(agent.text()) == "ms1", 15)
        site.until_state(agent, "Up", 30)
    second.signal(signal.SIGCONT)
    assert site.runs_of(vm) == runs
    assert unquiet(site) == []


def _last_server(log: str) -> str:
    return log.rsplit("connected to ", 1)[-1][:3] if "connected to " in log else ""


def test_a_path_that_swallows_everything_is_left(site: Site) -> None:
    """A connection that was cut without a word: the agent notices by itself and goes to the other server."""
    site.open(0)
    with TcpFaultProxy(("127.0.0.1", site.servers[0].agents), CLEAN) as proxy:
        agent = site.add_host("host1", [f"127.0.0.1:{proxy.port}"])
        agent.stop()
        agent.point_at([f"127.0.0.1:{proxy.port}", site.servers[1].address])
        agent.start()
        until("it is connected", lambda: agent.text().count("connected to ") == 2)
        while _last_server(agent.text()) != "ms1":  # which of the two comes first is chance
            connections = agent.text().count("connected to ")
            agent.kill()
            agent.start()
            until("it is connected", lambda n=connections: agent.text().count("connected to ") > n)
        proxy.faults = WireFaults(silent=True)
        until("it is with the other", lambda: _last_server(agent.text()) == "ms2")
        assert "was not heard for" in agent.text()
        site.until_state(agent, "Up")
