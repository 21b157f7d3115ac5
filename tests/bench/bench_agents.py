"""Agents over TLS, beating each second to one real server process: its CPU and memory; and what a mass silence costs.

    .venv/bin/python tests/bench/bench_agents.py [--hosts N] [--seconds S] [--full] [--port-only] [--json]

--full: 10,000 hosts, of which 500 (half of each of twenty clusters) fall silent at once.
"""

import argparse
import datetime
import json
import os
import resource
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from holdfast.hooks.store import Insert
from holdfast.model import (
    Cluster,
    HaConfig,
    Host,
    HostCertificate,
    KeyStore,
    Moment,
    Oobm,
    Pod,
    Secret,
    StoragePool,
    Zone,
)
from holdfast.model.states import HostStatus
from holdfast_agents_port.authority import CertificateAuthority, new_authority
from holdfast_cli.server_process import free_port
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore
from measuring import show

_CLUSTER = 50
_CONFIGURATION = """\
[server]
name = "ms1"
data_dir = "{folder}"
services = {services}

[agents]
address = "127.0.0.1"
port = {port}
"""
_TAKE_UP_SECONDS = 420.0
_DOUBTED = ("Suspect", "Checking", "Degraded", "Recovering", "Recovered", "Fencing", "Fenced")


def prepare(folder: Path, count: int) -> list[str]:
    """The rows of the cloud, and each host's certificate; returns the hosts' uuids."""
    store = SqlStore({"data_dir": str(folder), "key_file": folder / "secret.key"})
    store.bind(SqliteDatabase({"data_dir": str(folder)}))
    store.migrate()
    certificate, key = new_authority()
    authority = CertificateAuthority(certificate, key)
    store.commit([Insert(KeyStore(name="agents", certificate=certificate, key=key))])
    (zone,) = store.commit([Insert(Zone(uuid="zone", name="zone"))])
    (pod,) = store.commit([Insert(Pod(uuid="pod", name="pod", data_center_id=zone))])
    pool = StoragePool(
        uuid="pool", name="pool", pool_type="NetworkFilesystem", data_center_id=zone, scope="ZONE", heartbeat="nfs"
    )
    store.commit([Insert(pool)])
    names = [f"cluster-{number:04}" for number in range(-(-count // _CLUSTER))]
    clusters = store.commit(
        [Insert(Cluster(uuid=n, name=n, pod_id=pod, data_center_id=zone, hypervisor_type="KVM")) for n in names]
    )
    uuids = [str(uuid.uuid4()) for _ in range(count)]
    hosts = [
        Host(
            uuid=one, name=f"host-{number:05}", hypervisor_type="KVM", data_center_id=zone, pod_id=pod,
            cluster_id=clusters[number // _CLUSTER], url=f"http://host-{number:05}", status=HostStatus.CONNECTING,
        )
        for number, one in enumerate(uuids)
    ]  # fmt: skip
    ids = store.commit([Insert(row) for row in hosts])
    store.commit([Insert(HaConfig(resource_id=i, enabled=True, provider="simulatorhaprovider")) for i in ids])
    store.commit(
        [
            Insert(
                Oobm(host_id=i, enabled=True, driver="simulator", address=f"bmc{i}", port="623", username="a",
                     password=Secret("bench"))
            )
            for i in ids
        ]
    )  # fmt: skip
    _certify(folder / "crowd", authority, uuids, store)
    store.close()
    return uuids


def _certify(folder: Path, authority: CertificateAuthority, uuids: list[str], store: SqlStore) -> None:
    """All on one key: what is measured is the server, which cannot see that."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    text = request.public_bytes(serialization.Encoding.PEM).decode()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    (folder / "authority.pem").write_text(authority.certificate)
    (folder / "hosts.json").write_text(json.dumps(uuids))
    rows = []
    for number, one in enumerate(uuids):
        issued = authority.for_host(one, text, 90)
        (folder / f"{number}.pem").write_text(issued.certificate + secret)
        rows.append(
            HostCertificate(
                uuid=str(uuid.uuid4()), host_uuid=one, serial=issued.serial, issued=Moment(issued.issued),
                expires=Moment(issued.expires),
            )
        )  # fmt: skip
    store.commit([Insert(row) for row in rows])


class Server:
    """The measured process."""

    def __init__(self, folder: Path, services: list[str]) -> None:
        self.port = free_port()
        self.folder = folder
        (folder / "holdfast.toml").write_text(
            _CONFIGURATION.format(folder=folder, port=self.port, services=json.dumps(services))
        )
        self.log = (folder / "log").open("ab")
        words = [sys.executable, "-m", "holdfast", "--config", str(folder / "holdfast.toml"), "server"]
        self.child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        until = time.monotonic() + 120
        while True:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.child.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < until
            time.sleep(0.1)

    def cpu(self) -> float:
        """CPU seconds so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> tuple[float, float]:
        """Resident MiB now, and at most."""
        found = {}
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith(("VmRSS", "VmHWM")):
                found[line[:5]] = int(line.split()[1]) / 1024
        return found["VmRSS"], found["VmHWM"]


def ask(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """The tables, as an operator would look at them."""
    with closing(sqlite3.connect(f"file:{folder}/holdfast.db?mode=ro", uri=True, timeout=10)) as database:
        return database.execute(query).fetchall()


def measure(count: int, gone: int, seconds: float, port_only: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, count)
        server = Server(folder, ["agents"] if port_only else ["agents", "manager"])
        crowd = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("agent_crowd.py")), str(folder / "crowd"), str(server.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            return (
                _beating(server, crowd, count, seconds)
                if port_only
                else _measured(folder, server, crowd, count, gone, seconds)
            )
        finally:
            crowd.kill()
            server.child.terminate()
            server.child.wait(60)


def _beating(server: Server, crowd: "subprocess.Popen[str]", count: int, seconds: float) -> dict[str, Any]:
    """The port alone, without a manager: what beats and connections cost."""
    assert crowd.stdout is not None
    began = server.cpu()
    ready = json.loads(crowd.stdout.readline())
    ramp = server.cpu() - began
    time.sleep(3.0)
    cpu, at = server.cpu(), time.monotonic()
    time.sleep(seconds)
    used = (server.cpu() - cpu) / (time.monotonic() - at)
    now, peak = server.memory()
    return {
        "hosts": count,
        "connected in, seconds": ready["seconds"],
        "server CPU per handshake, ms": round(ramp / count * 1000, 2),
        "server CPU while all beat, cores": round(used, 3),
        "resident now / at most, MiB": f"{now:.0f} / {peak:.0f}",
    }


def _measured(
    folder: Path, server: Server, crowd: "subprocess.Popen[str]", count: int, gone: int, seconds: float
) -> dict[str, Any]:
    assert crowd.stdin is not None
    assert crowd.stdout is not None
    began = server.cpu()
    ready = json.loads(crowd.stdout.readline())
    until = time.monotonic() + _TAKE_UP_SECONDS
    while ask(folder, "select count(*) from ha_config where ha_state = 'Available'")[0][0] < count:
        assert time.monotonic() < until, "not all hosts became Available\n" + (folder / "log").read_text()[-3000:]
        time.sleep(0.5)
    ramp, taken = server.cpu() - began, ready["seconds"] + time.monotonic() - (until - _TAKE_UP_SECONDS)
    time.sleep(5.0)
    cpu, at = server.cpu(), time.monotonic()
    time.sleep(seconds)
    used = (server.cpu() - cpu) / (time.monotonic() - at)
    silent_now = ask(folder, "select count(*) from ha_config where ha_state <> 'Available'")[0][0]
    suspected = _vanish(folder, crowd, gone)
    time.sleep(10.0)
    acted = ask(folder, "select count(*) from ha_config where ha_state in ('Fencing', 'Fenced')")[0][0]
    now, peak = server.memory()
    return {
        "hosts": count,
        "connected in / all Available after, seconds": f"{ready['seconds']} / {taken:.1f}",
        "server CPU per host from its start until all are Available, ms": round(ramp / count * 1000, 2),
        "server CPU while all beat, cores": round(used, 3),
        "not Available while all beat": silent_now,
        "resident now / at most, MiB": f"{now:.0f} / {peak:.0f}",
        "fallen silent at once": gone,
        "seen as suspect after, seconds: median / last": f"{statistics.median(suspected):.2f} / {max(suspected):.2f}",
        "of these fenced within the next 10 s (the brake holds)": acted,
    }


def _vanish(folder: Path, crowd: "subprocess.Popen[str]", gone: int) -> list[float]:
    """Seconds from each host's last beat at the earliest (the silence) until the tables say that it is in doubt."""
    assert crowd.stdin is not None
    assert crowd.stdout is not None
    crowd.stdin.write(f"vanish {gone} 2\n")
    crowd.stdin.flush()
    answer = json.loads(crowd.stdout.readline())
    began, hosts = answer["at"], set(answer["vanished"])
    seen: dict[str, float] = {}
    doubted = ", ".join(f"'{state}'" for state in _DOUBTED)
    query = f"select h.uuid from ha_config c join host h on h.id = c.resource_id where c.ha_state in ({doubted})"
    while len(seen) < gone and time.monotonic() < began + 60:
        for (one,) in ask(folder, query):
            if one in hosts:
                seen.setdefault(one, time.monotonic() - began)
        time.sleep(0.1)
    assert len(seen) == gone, f"only {len(seen)} of {gone} silent hosts are in doubt"
    return list(seen.values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int, default=500)
    parser.add_argument("--gone", type=int)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--port-only", action="store_true", help="without a manager")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    hosts = 10_000 if arguments.full else arguments.hosts
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < hosts + 200:
        sys.exit(f"{hosts} connections need as many open files, and the limit is {hard}: raise it (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gone = arguments.gone or hosts // 20
    taken = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    show(f"Agents of one server over TLS ({taken})", [measure(hosts, gone, arguments.seconds, arguments.port_only)])


if __name__ == "__main__":
    main()
