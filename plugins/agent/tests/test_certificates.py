"""Certificates are made and read in a process of their own: the agent that runs for months keeps nothing of it."""

import datetime
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from holdfast.errors import ConfigurationError
from holdfast_agent.certificates import new_request
from holdfast_agent.identity import Identity, IdentityStore

HEAVY = ("cryptography", "sqlalchemy", "aiohttp", "multiprocessing")


BEGINS = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


def certificate(request: str, key: str, days: int) -> str:
    """One on the request, signed by the host itself: who signed it is not looked at here."""
    asked = x509.load_pem_x509_csr(request.encode())
    signing = load_pem_private_key(key.encode(), None)
    made = x509.CertificateBuilder(asked.subject, asked.subject, asked.public_key(), 7)
    made = made.not_valid_before(BEGINS).not_valid_after(BEGINS + datetime.timedelta(days=days))
    return made.sign(signing, hashes.SHA256()).public_bytes(Encoding.PEM).decode()  # type: ignore[arg-type]


def test_a_running_agent_does_without_what_it_needs_once() -> None:
    """Whatever it imports, with its drivers; it is there on every host, beside VMs that want the memory."""
    program = (
        "import sys, holdfast.__main__, holdfast_agent.service, holdfast_agent.command, "
        "holdfast_hypervisor_kvm.driver, holdfast_heartbeat_nfs.driver, holdfast_heartbeat_iscsi.driver\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"


def test_a_certificate_is_read_again_only_when_it_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its text, so that one that was put there by hand is seen as well."""
    store = IdentityStore(tmp_path)
    for days in (30, 60):
        request, key = new_request("host1")
        own = certificate(request, key, days)
        store.save(Identity("uuid1", "host1", ("127.0.0.1",)), own, key, own)
        assert store.validity() == (BEGINS.timestamp(), BEGINS.timestamp() + days * 86400)
        store.context()
        with monkeypatch.context() as patched:
            patched.setattr("holdfast_agent.identity.validity_of", lambda _text: pytest.fail("read again"))
            assert store.validity()[0] == BEGINS.timestamp()


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\ngarbage\n-----END CERTIFICATE-----\n", "\udcff"])
def test_a_certificate_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    """With its file."""
    (tmp_path / "host.pem").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError, match=r"host\.pem cannot be read"):
        IdentityStore(tmp_path).validity()
