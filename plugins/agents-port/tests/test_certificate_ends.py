"""Certificates that come to their end: told of in time, once a day, by one server, and closed by themselves."""

import pytest
from holdfast.hooks.store import Insert, Query, Update
from holdfast.model import Alert, Cluster, Event, Host, HostCertificate, ManagementServer, Moment, Pod, Zone
from holdfast_agents_port.certificate_ends import AUTHORITY_ALERT, HOST_ALERT, CertificateEnds
from holdfast_agents_port.registrar import Registrar
from holdfast_conformance.model_store import ModelStore

DAY = 86400.0


class Cloud:
    """Two hosts that joined, and a clock that moves."""

    def __init__(self) -> None:
        self.store = ModelStore()
        (zone,) = self.store.commit([Insert(Zone(uuid="z", name="z"))])
        (pod,) = self.store.commit([Insert(Pod(uuid="p", name="p", data_center_id=zone))])
        cluster = Cluster(uuid="c", name="c", pod_id=pod, data_center_id=zone, hypervisor_type="KVM")
        (cluster_id,) = self.store.commit([Insert(cluster)])
        for name in ("host1", "host2"):
            row = Host(
                uuid=name, name=name, hypervisor_type="KVM", data_center_id=zone, pod_id=pod, cluster_id=cluster_id,
                url=f"http://{name}",
            )  # fmt: skip
            self.store.commit([Insert(row)])
        self.registrar = Registrar(self.store, 90.0)
        self.began = self.now = self.registrar.authority.expires - 3650 * DAY
        for name in ("host1", "host2"):
            self.give(name)
        self.ends = CertificateEnds(self.store, self.registrar, "ms1", lambda: self.now)

    def give(self, host: str, serial: str = "") -> None:
        """A certificate for 90 days from now on, as joining and renewing give it."""
        row = HostCertificate(
            uuid=f"{host}-{self.now}", host_uuid=host, serial=serial or f"{host}-{self.now}", issued=Moment(self.now),
            expires=Moment(self.now + 90 * DAY),
        )  # fmt: skip
        self.store.commit([Insert(row)])
        self.registrar.refresh()

    def after(self, days: float) -> None:
        """So many days after the beginning."""
        self.now = self.began + days * DAY
        self.ends.look()

    def alerts(self, name: str = HOST_ALERT) -> list[Alert]:
        """All of that name."""
        return self.store.select(Alert, Query(equal={"name": name}))


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def test_certificates_that_are_renewed_in_time_are_no_news(cloud: Cloud) -> None:
    """An agent renews after two thirds: nobody hears of it."""
    for renewal in range(3):
        cloud.after(61 * renewal + 61)
        for name in ("host1", "host2"):
            cloud.give(name)
        cloud.ends.look()
    assert cloud.alerts() == []
    assert cloud.store.select(Event, Query(equal={"type": "HOST.CERTIFICATE.END"})) == []


def test_one_that_was_not_renewed_is_told_of_each_day_until_it_is(cloud: Cloud) -> None:
    """One alert, which counts how often it was sent; the host that renewed has none."""
    cloud.after(61)
    cloud.give("host2")
    cloud.after(67)
    assert cloud.alerts() == []
    for days in (68, 68.5, 69.01, 70.02):
        cloud.after(days)
    (alert,) = cloud.alerts()
    assert (alert.resource_id, alert.sent_count, alert.resolved) == ("host1", 3, None)
    assert "host host1: its certificate ends in 20 days" in alert.content
    (event,) = cloud.store.select(Event, Query(equal={"type": "HOST.CERTIFICATE.END"}))
    assert event.resource_id == "host1"
    cloud.after(91)
    assert "ended 24 hours ago" in cloud.alerts()[0].content
    assert "join again" in cloud.alerts()[0].content
    cloud.give("host1")
    cloud.ends.look()
    assert cloud.alerts()[0].resolved == cloud.now


def test_a_host_that_was_removed_needs_none(cloud: Cloud) -> None:
    """Its alert is closed with it; a certificate that was revoked is not waited for."""
    cloud.after(61)
    cloud.give("host2")
    cloud.after(70)
    (host,) = cloud.store.select(Host, Query(equal={"uuid": "host1"}))
    cloud.store.commit([Update(Host, host.id, {"removed": Moment(cloud.now)})])
    cloud.registrar.refresh()
    cloud.ends.look()
    assert [alert.resolved for alert in cloud.alerts()] == [cloud.now]


def test_the_authority_is_told_of_long_before_and_speaks_for_its_hosts(cloud: Cloud) -> None:
    """What it signs at last ends with it: that is one alert, and not one for each host."""
    cloud.after(3650 - 181)
    for name in ("host1", "host2"):
        cloud.give(name)
    cloud.ends.look()
    assert cloud.alerts(AUTHORITY_ALERT) == []
    cloud.after(3650 - 90)
    for name in ("host1", "host2"):
        cloud.give(name)
    cloud.after(3650 - 2)
    (alert,) = cloud.alerts(AUTHORITY_ALERT)
    assert "every certificate of hosts and servers with it" in alert.content
    assert [one for one in cloud.alerts() if one.resolved is None] == []


def test_one_server_tells(cloud: Cloud) -> None:
    """The first that is up; the next one when that is gone."""
    rows = [
        ManagementServer(
            uuid=f"u{number}",
            msid=number,
            runid=1,
            name=f"ms{number}",
            state="Up",
            version="0.1",
            service_ip="",
            service_port=0,
        )
        for number in (1, 2)
    ]
    for row in rows:
        cloud.store.commit([Insert(row)])
    second = CertificateEnds(cloud.store, cloud.registrar, "ms2", lambda: cloud.now)
    cloud.now = cloud.began + 80 * DAY
    assert second.look() == []
    (first,) = cloud.store.select(ManagementServer, Query(equal={"name": "ms1"}))
    cloud.store.commit([Update(ManagementServer, first.id, {"state": "Down"})])
    assert {one.host.name for one in second.look() if one.host} == {"host1", "host2"}
    assert second.look() == []
