"""Ansible's `ngine_io.cloudstack`, unchanged, builds the guide's cloud, and a second time finds nothing to do.

It installs Ansible from PyPI, 50 MB and a minute of work, so it runs only where HOLDFAST_ANSIBLE_TESTS=1 asks for it.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from holdfast_cli.client import Client, keys_by_login
from holdfast_cli.server_process import ServerProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("HOLDFAST_ANSIBLE_TESTS") != "1",
        reason="NOT TESTED against Ansible: set HOLDFAST_ANSIBLE_TESTS=1 (it installs Ansible from PyPI)",
    ),
]

PLAYBOOK = Path(__file__).parent / "ansible" / "cloud.yml"
COLLECTION_IS_IN = "ansible==9.13.0"
"""The last series of PyPI's Ansible that Python 3.11 runs and that holds the collection, 2.5.0 of it."""


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own with Ansible in it."""
    home = tmp_path_factory.mktemp("ansible") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip = [str(home / "bin" / "pip"), "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, COLLECTION_IS_IN, "cs", "sshpubkeys"], check=True)
    return home


def _changes(ansible: Path, environment: dict[str, str]) -> int:
    """Play it; how many tasks changed something."""
    python = f"ansible_python_interpreter={ansible / 'bin' / 'python'}"
    words = [str(ansible / "bin" / "ansible-playbook"), "-i", "localhost,", "-e", python, str(PLAYBOOK)]
    played = subprocess.run(
        words, check=False, env=os.environ | environment, capture_output=True, text=True, timeout=900
    )
    assert played.returncode == 0, played.stdout[-4000:]
    recap = re.search(r"changed=(\d+).*failed=0", played.stdout)
    assert recap, played.stdout[-4000:]
    return int(recap[1])


def test_ansible_builds_the_cloud_once(ansible: Path, tmp_path: Path) -> None:
    """Everything is made and the VMs run; the second time nothing changes."""
    with ServerProcess(tmp_path) as server:
        server.start()
        keys = keys_by_login(server.endpoint, "admin", server.password)
        environment = {
            "CLOUDSTACK_ENDPOINT": server.endpoint,
            "CLOUDSTACK_KEY": keys.api_key,
            "CLOUDSTACK_SECRET": keys.secret_key.reveal(),
            "ANSIBLE_NOCOLOR": "1",
        }
        assert _changes(ansible, environment) == 10
        client = Client(server.endpoint, keys, timeout=60.0)
        vms = client.items("listVirtualMachines", listall="true")
        assert {(vm["name"], vm["state"], vm["hostname"]) for vm in vms} == {
            (f"HA-TEST-VM{number}", "Running", "ablecube31") for number in (1, 2, 3)
        }
        assert _changes(ansible, environment) == 0
