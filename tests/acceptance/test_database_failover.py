"""The guide's scenario on a replicated database whose primary is killed on the way, at each of its steps."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance_site import PATIENCE, Site
from holdfast_cli import demo_steps
from holdfast_cli.client import keys_by_login
from holdfast_cli.demo_steps import Scene
from holdfast_cli.demo_teller import Teller
from holdfast_cli.progress import ProgressLine
from holdfast_cli.server_process import ServerFailed
from holdfast_conformance.mariadb import MariaDb, MariaDbLab
from holdfast_conformance.mariadb_replication import is_streaming, replica_status

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "mysqlfailover" / "tests"))

from failover_site import FailoverSite, new_lab_pair, until

pytestmark = pytest.mark.slow

SEMI = {
    "rpl-semi-sync-master-enabled": "ON",
    "rpl-semi-sync-slave-enabled": "ON",
    "rpl-semi-sync-master-wait-no-slave": "OFF",
}


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[FailoverSite]:
    """A pair that acknowledges what both have."""
    with MariaDbLab(tmp_path / "db") as lab:
        yield new_lab_pair(lab, tmp_path, SEMI)


class _Killer(Teller):
    """Kills the primary as one step begins, and starts it again as the next one does."""

    def __init__(self, databases: FailoverSite, at: int) -> None:
        super().__init__(ProgressLine())
        self._databases, self._at = databases, at
        self.killed = False

    def step(self, number: int, title: str) -> None:
        """Called before each step."""
        primary = self._databases.servers[0]
        if number == self._at:
            self._timer = threading.Timer(0.2, primary.kill)
            self._timer.start()
            self.killed = True
        elif number == self._at + 1:
            self._timer.join()  # a step may be quicker than that
            _start_again(self._databases)


def _start_again(databases: FailoverSite) -> None:
    """Whoever is down. What a primary had begun to commit when it was killed, and sent to nobody, the other one refuses
    for ever: writing stays there then, until somebody makes the first anew."""
    for each in databases.servers:
        if not each.running:
            each.start()
    until("the second hears the first", lambda: _hears_or_refuses(databases.servers[1]), 30.0)


def _hears_or_refuses(replica: MariaDb) -> bool:
    status = replica_status(replica)
    return is_streaming(status) or "out-of-order" in status.get("Last_SQL_Error", "")


@pytest.mark.parametrize("at", range(1, 9))
def test_the_scenario_survives_the_death_of_the_primary(databases: FailoverSite, tmp_path: Path, at: int) -> None:
    """Nobody notices but the log: every step is done once, and the VMs run once, elsewhere."""
    (tmp_path / "site").mkdir()
    with Site(tmp_path / "site") as site:
        properties = databases.properties(secondsBeforeRetryMaster=5)
        site.server._more += f'\n[database]\ndriver = "mysql"\n[database.mysql]\nproperties = "{properties}"\n'
        site.open()
        site.start_bmcs()
        killer = _Killer(databases, at)
        demo_steps.prepare(Scene(site.client, site.cloud, killer, site.waiting, site.places))
        if at == 8:
            threading.Timer(0.2, databases.servers[0].kill).start()
        else:
            assert killer.killed
        site.order_off()
        site.until("every VM runs once, elsewhere", site.run_elsewhere_once)
        assert len(site.vms()) == 3


def test_a_server_that_is_started_before_its_databases_waits_for_them(databases: FailoverSite, tmp_path: Path) -> None:
    """It says what it waits for; it ends with the reason where they do not come, and begins its work where they do."""
    for each in databases.servers:
        each.kill()
    (tmp_path / "site").mkdir()
    with Site(tmp_path / "site") as site:
        given = f'\n[database]\ndriver = "mysql"\n[database.mysql]\nproperties = "{databases.properties()}"\n'
        plain, site.server._more = site.server._more, site.server._more + given + "start_seconds = 1.0\n"
        with pytest.raises(
            ServerFailed, match=r"(?s)status [12]:.*cannot migrate the database: no database host can be used"
        ):
            site.server.start()
        site.server.log.unlink()
        site.server._more = plain + given
        starting = threading.Thread(target=site.server.start)
        starting.start()
        site.until("it says what it waits for", lambda: "can be used, trying again" in site.server.last_words())
        assert site.server.status is None
        for each in databases.servers:
            each.start()
        starting.join(PATIENCE)
        assert not starting.is_alive()
        assert keys_by_login(site.server.endpoint, "admin", site.server.password).api_key
