"""An agents' port in this process, for tests and benchmarks that call its drivers directly."""

import asyncio
import threading
from pathlib import Path
from typing import Any

from agents_site import HYPERVISOR
from holdfast.hooks.store import Insert
from holdfast.model import Cluster, Host, HostJoinToken, Moment, Pod, Zone
from holdfast.model.secret import Secret
from holdfast.protocol.tokens import JoinToken
from holdfast_agent.certificates import new_request
from holdfast_agent.identity import Identity, IdentityStore
from holdfast_agents_port.port import AgentsPort
from holdfast_agents_port.registrar import Registrar, hash_of
from holdfast_agents_port.tls import ServerIdentity
from holdfast_conformance.model_store import ModelStore

UUID = "11111111-1111-4111-8111-111111111111"


class PortInThread:
    """An agents' port with an event loop of its own, over a plain store."""

    def __init__(self, folder: Path, hypervisor: str = HYPERVISOR) -> None:
        self.store = ModelStore()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        (zone,) = self.store.commit([Insert(Zone(uuid="z", name="z"))])
        (pod,) = self.store.commit([Insert(Pod(uuid="p", name="p", data_center_id=zone))])
        cluster = Cluster(uuid="c", name="c", pod_id=pod, data_center_id=zone, hypervisor_type=hypervisor)
        (cluster_id,) = self.store.commit([Insert(cluster)])
        host = Host(
            uuid=UUID, name="host1", hypervisor_type=hypervisor, data_center_id=zone, pod_id=pod,
            cluster_id=cluster_id, url="http://host1",
        )  # fmt: skip
        (self.host_id,) = self.store.commit([Insert(host)])
        self.registrar = Registrar(self.store, 90)
        self.registrar.refresh()
        identity = ServerIdentity(self.registrar.authority, "ms1", folder)
        self.port = AgentsPort("ms1", self.registrar, identity, dict)
        self.number = self.run(self.port.listen("127.0.0.1", 0))

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def token(self) -> str:
        token = JoinToken.make(self.registrar.authority.fingerprint)
        row = HostJoinToken(
            uuid="t", secret_hash=hash_of(token.secret.reveal()), host_id=self.host_id, expires=Moment(2**33)
        )
        self.store.commit([Insert(row)])
        return token.text().reveal()

    def joined(self, folder: Path) -> tuple[Identity, IdentityStore]:
        """What the host's agent keeps in `folder` once it has joined here."""
        request, key = new_request("host1")
        secret = JoinToken.read(Secret(self.token())).secret.reveal()
        _, issued = self.registrar.join(secret, request, "127.0.0.1")
        identity = Identity(UUID, "host1", (f"127.0.0.1:{self.number}",))
        store = IdentityStore(folder)
        store.save(identity, issued.certificate, key, self.registrar.authority.certificate)
        return identity, store

    def close(self) -> None:
        self.run(self.port.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()
