"""The driver passes the kit of its point: alone, and in front of a pair."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from failover_site import PASSWORD, USER, FailoverSite
from holdfast_conformance.database import DatabaseCapabilities, DatabaseConformance
from holdfast_conformance.mariadb import MariaDbLab, free_port
from holdfast_mysqlfailover.driver import MySqlDatabase

IMPATIENT = {"connect_seconds": 0.5, "patience_seconds": 1.0, "start_seconds": 1.0}


class TestPair(DatabaseConformance):
    """Two servers that replicate."""

    capabilities = DatabaseCapabilities(secrets=(PASSWORD,))

    @pytest.fixture
    def driver(self, site: FailoverSite) -> MySqlDatabase:
        """Told of both."""
        return site.driver()

    @pytest.fixture
    def unreachable(self, site: FailoverSite) -> Iterator[Callable[[], MySqlDatabase]]:
        """Both are frozen."""
        for each in site.servers:
            each.freeze()
        yield lambda: site.driver(IMPATIENT)
        for each in site.servers:
            each.thaw()


class TestOneServer(DatabaseConformance):
    """No replica, and nothing to fail over to."""

    capabilities = DatabaseCapabilities(secrets=(PASSWORD,))

    @pytest.fixture
    def site(self, lab: MariaDbLab, tmp_path: Path) -> Iterator[FailoverSite]:
        """One server."""
        server = lab.server()
        server.run("CREATE DATABASE cloud")
        server.make_user(USER, PASSWORD)
        site = FailoverSite(tmp_path, [server])
        yield site
        site.close()

    @pytest.fixture
    def driver(self, site: FailoverSite) -> MySqlDatabase:
        """Told of it."""
        return site.driver(replicas="")

    @pytest.fixture
    def unreachable(self, site: FailoverSite) -> Callable[[], MySqlDatabase]:
        """A port where nobody listens."""
        return lambda: site.driver(IMPATIENT, host=f"127.0.0.1:{free_port()}", replicas="")
