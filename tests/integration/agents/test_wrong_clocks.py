"""A host whose clock is wrong by an hour, and one whose clock is wrong by ten days."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from agents_site import Site, until

pytestmark = pytest.mark.slow

_LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@pytest.fixture(scope="module", autouse=True)
def _faketime() -> None:
    """Debian's libfaketime, which lends a process another clock."""
    if not _LIBRARY.exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", "faketime"]):
            subprocess.run(["apt-get", *words], env=environment, check=False, capture_output=True)
    if not _LIBRARY.exists():
        pytest.skip("libfaketime is not there: as root, apt-get install faketime")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as made:
        made.open(0)
        yield made


def clock(offset: str) -> dict[str, str]:
    return {"LD_PRELOAD": str(_LIBRARY), "FAKETIME": offset, "DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.parametrize("offset", ["-1h", "+1h"])
def test_an_hour_does_not_matter(site: Site, offset: str) -> None:
    """The host joins, is Up, runs a VM, and comes back after a restart, all by its own clock."""
    agent = site.make_agent("host1")
    agent.lent = clock(offset)
    agent.uuid = site.add_row("host1")
    joined = site.join(agent, site.token(agent.uuid))
    assert joined.returncode == 0, joined.stderr
    agent.start()
    site.until_state(agent, "Up")
    vm = site.deploy("vm1")
    assert [host for host, _ in site.runs_of(vm)] == ["host1"]
    agent.kill()
    agent.start()
    until("it is connected again", lambda: agent.text().count("connected to ") == 2)
    site.until_state(agent, "Up")


def test_ten_days_are_told(site: Site) -> None:
    """The agent does not believe certificates of the future, and says which clock to look at."""
    agent = site.add_host("host1")
    agent.stop()
    agent.lent = clock("-10d")
    agent.start()
    until("it says so", lambda: "look at the address of the server and at this host's clock" in agent.text())
    assert "not yet valid" in agent.text()
