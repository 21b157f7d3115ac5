"""Who must not get in, or must get out: a clear word on both sides, and never a beat that counts."""

import asyncio
import json
import shutil
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import closing

import pytest
from agents_site import Agent, Server, Site, until
from holdfast.model import Secret
from holdfast.protocol import SERVER_NAME, VERSION
from holdfast.protocol import frames as f
from holdfast.protocol import messages as m
from holdfast.protocol.tokens import JoinToken

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("refused")) as made:
        made.open()
        yield made


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Another cloud."""
    with Site(tmp_path_factory.mktemp("other")) as made:
        made.open(0)
        yield made


def last(agent: Agent, text: str) -> None:
    until(f"the agent of {agent.name} says {text!r}", lambda: text in agent.text())


def said(server: Server, text: str) -> None:
    until(f"server {server.name} says {text!r}", lambda: text in server.text())


def test_tokens_that_are_no_good(site: Site, other: Site) -> None:
    """Garbage, of another cloud, withdrawn, expired, used: each is told apart, and nothing is kept of them."""
    uuid = site.add_row("host-tokens")
    agent = site.make_agent("host-tokens")
    good = site.token(uuid)

    refused = site.join(agent, "garbage")
    assert (refused.returncode, "that is no join token" in refused.stderr) == (2, True), refused.stderr

    foreign = JoinToken("0" * 64, Secret("a" * 43)).text().reveal()
    refused = site.join(agent, foreign)
    assert "the token was not sent" in refused.stderr.lower(), refused.stderr

    unknown = JoinToken(JoinToken.read(Secret(good)).fingerprint, Secret("a" * 43)).text().reveal()
    assert "not known here" in site.join(agent, unknown).stderr
    said(site.servers[0], "not known here")

    newer = site.token(uuid)
    assert "withdrawn" in site.join(agent, good).stderr

    with closing(sqlite3.connect(site.folder / "shared" / "holdfast.db")) as database, database:
        database.execute("update host_join_token set expires = '2001-01-01 00:00:00' where used is null")
    assert "has expired" in site.join(agent, newer).stderr
    said(site.servers[0], "has expired")
    assert not (agent.folder / "data" / "agent" / "host.json").exists()

    final = site.token(uuid)
    assert site.join(agent, final).returncode == 0
    refused = site.join(agent, final)
    assert (refused.returncode, "was used before" in refused.stderr) == (2, True), refused.stderr
    for text in (refused.stderr, site.servers[0].text()):
        assert JoinToken.read(Secret(final)).secret.reveal() not in text
    assert site.client.items("listHostJoinTokens", hostid=uuid) == []
    assert len(site.client.items("listHostCertificates", hostid=uuid)) == 1


def test_a_host_of_another_cloud(site: Site, other: Site) -> None:
    """Its agent does not believe this cloud's server; a server that trusts it nowhere takes no certificate of it."""
    agent = other.make_agent("stray", [site.servers[0].address])
    agent.uuid = other.add_row("stray")
    joined = other.join(agent, other.token(agent.uuid))
    assert joined.returncode == 0, joined.stderr
    agent.start()
    last(agent, "not one of this host's cloud")
    agent.stop()
    # The agent is made to believe this server; the server still must not believe the agent.
    ours = site.agents["host1"].folder / "data" / "agent" / "authority.pem"
    shutil.copy(ours, agent.folder / "data" / "agent" / "authority.pem")
    agent.start()
    last(agent, "does not take this host's certificate")
    said(site.servers[0], "certificate verify failed")
    agent.stop()
    assert other.host(agent)["state"] != "Up"


def test_a_host_that_says_it_is_another(site: Site) -> None:
    """The certificate decides; the other host is not touched by it."""
    victim = site.agents["host1"]
    agent = site.add_host("host-claims")
    agent.stop()
    path = agent.folder / "data" / "agent" / "host.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "host_uuid": victim.uuid}))
    agent.start()
    last(agent, "its certificate is that of host")
    said(site.servers[0], "its certificate is that of host")
    agent.stop()
    assert site.host(victim)["state"] == "Up"


def hello(site: Site, agent: Agent, boot: str, beats: int) -> list[m.Message]:
    """Connect with an agent's certificate from a machine of another boot, beat, and say what the server answered."""

    async def talk() -> list[m.Message]:
        folder = agent.folder / "data" / "agent"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(folder / "authority.pem")
        context.load_cert_chain(folder / "host.pem")
        host, port = site.servers[0].address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname=SERVER_NAME)
        greeting = m.Hello((VERSION,), agent.uuid, agent.name, boot, "processes", 1, 1, 1)
        writer.write(m.encode(greeting) + b"".join(f.beat_frame(2**40 + n, True) for n in range(beats)))
        frames, found = f.FrameReader(f.MESSAGE_LIMIT), []
        while data := await asyncio.wait_for(reader.read(1 << 16), 20):
            found += [m.decode(body) for kind, body in frames.feed(data) if kind is f.FrameKind.MESSAGE]
            if any(isinstance(one, (m.Goodbye, m.Welcome)) for one in found):
                break
        writer.transport.abort()
        return found

    return asyncio.run(talk())


def test_a_copied_disk_is_no_second_host(site: Site) -> None:
    """While one machine beats, another with the same certificate is refused, and none of its beats counts."""
    agent = site.agents["host1"]
    vm = site.deploy("vm-copied", agent)
    answers = hello(site, agent, "another-boot", 3)
    assert any(isinstance(one, m.Goodbye) and "another machine" in one.reason for one in answers), answers
    said(site.servers[0], "another machine")
    until("there is an alert", lambda: site.client.items("listAlerts", name="ALERT.HOST.COPIED"))
    assert [host for host, _ in site.runs_of(vm)] == ["host1"]
    assert site.host(agent)["state"] == "Up"


def test_a_revoked_certificate(site: Site) -> None:
    """The connection ends, no other is had, the VMs go on; with a new token the running agent is back."""
    agent = site.add_host("host-revoked")
    vm = site.deploy("vm-revoked", agent)
    before = site.runs_of(vm)
    [row] = site.client.items("listHostCertificates", hostid=agent.uuid)
    site.client.call("revokeCertificate", serial=row["serial"])
    last(agent, "was revoked")
    said(site.servers[0], "was revoked")
    until("it is not Up", lambda: site.host(agent)["state"] != "Up")
    assert site.runs_of(vm) == before
    joined = site.join(agent, site.token(agent.uuid))
    assert joined.returncode == 0, joined.stderr
    site.until_state(agent, "Up")
    assert site.runs_of(vm) == before


def test_a_certificate_is_renewed_while_connected(site: Site) -> None:
    """On a new key, which the next connection uses; the present one stays."""
    agent = site.add_host("host-renews")
    path = agent.folder / "data" / "agent" / "host.pem"
    before = path.read_text()
    site.client.call("provisionCertificate", hostid=agent.uuid)
    until("there is a new certificate", lambda: path.read_text() != before)
    assert len(site.client.items("listHostCertificates", hostid=agent.uuid)) == 2
    assert agent.text().count("connected to ") == 1
    assert path.stat().st_mode & 0o077 == 0
    agent.kill()
    agent.start()
    until("it is connected with it", lambda: agent.text().count("connected to ") == 2)


def test_what_does_not_speak_the_protocol(site: Site) -> None:
    """Noise, TLS without a word, frames that are too large: cut off, and the server goes on."""

    async def plain(data: bytes) -> bytes:
        host, port = site.servers[0].address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), 30)
        except ConnectionError:
            return b""
        finally:
            writer.transport.abort()

    async def stranger(data: bytes) -> list[m.Message]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host, port = site.servers[0].address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        writer.write(data)
        received = await asyncio.wait_for(reader.read(), 30)
        writer.transport.abort()
        return [m.decode(body) for kind, body in f.FrameReader().feed(received) if kind is f.FrameKind.MESSAGE]

    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 100, b"\0" * 5000):
        asyncio.run(plain(noise))
    said(site.servers[0], "a connection from 127.0.0.1 was refused")
    for data, words in (
        (f.HEADER.pack(2**31, f.FrameKind.MESSAGE), "at most"),
        (f.beat_frame(1, True), "before the host was welcome"),
        (f.frame(f.FrameKind.MESSAGE, b"{"), "not JSON"),
        (m.encode(m.Hello((1,), "x", "x", "x", "x", 1, 1, 1)), "a certificate is needed"),
        (m.encode(m.PeerHello((1,), "ms9")), "a certificate is needed"),
    ):
        answers = asyncio.run(stranger(data))
        assert [type(one) for one in answers] == [m.Goodbye]
        assert words in answers[0].reason  # type: ignore[union-attr]
    assert site.host(site.agents["host1"])["state"] == "Up"
