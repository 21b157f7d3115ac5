"""Servers of runs at the same time never share an address."""

import contextlib
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator

import private_network
import pytest
from heartbeat_benches import need
from private_network import PrivateNetwork

NET = 232


@pytest.fixture
def pair() -> Iterator[tuple[PrivateNetwork, PrivateNetwork]]:
    need("iproute2", present=lambda: bool(shutil.which("ip")))
    networks = PrivateNetwork("hft", NET), PrivateNetwork("hft", NET)
    yield networks
    for network in networks:
        network.remove()


@pytest.fixture
def hold() -> Iterator[Callable[[str], None]]:
    """Runs a process in a namespace, as a killed run's server is left behind."""
    with contextlib.ExitStack() as stack:

        def start(name: str) -> None:
            line = ["ip", "netns", "exec", name, "cat"]
            holder = stack.enter_context(subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            assert holder.stdin is not None
            assert holder.stdout is not None
            holder.stdin.write(b"inside\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == b"inside\n"

        yield start


def _exists(kind: str, name: str) -> bool:
    shown = subprocess.run(["ip", "-br", kind], capture_output=True, text=True, check=True).stdout
    return name in shown.replace("@", " ").split()


@pytest.mark.parametrize("left", ["namespace and cable", "cable"])
def test_a_number_that_is_taken_is_not_taken_again(
    pair: tuple[PrivateNetwork, PrivateNetwork], hold: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """Whoever draws another's number draws again, and the other keeps what it has."""
    first, second = pair
    first.make()
    taken = first.name
    if left == "cable":
        hold(taken)
        subprocess.run(["ip", "netns", "del", taken], check=True)
    draw, offered = secrets.randbelow, [int(taken.removeprefix("hft"))]
    monkeypatch.setattr(private_network.secrets, "randbelow", lambda below: offered.pop() if offered else draw(below))
    second.make()
    assert not offered
    assert {first.near, first.far}.isdisjoint({second.near, second.far})
    assert _exists("link", f"{taken}a")
    assert _exists("netns", taken) == (left != "cable")


def test_what_was_not_made_is_not_removed(pair: tuple[PrivateNetwork, PrivateNetwork]) -> None:
    """A server that never started leaves the others alone."""
    first, second = pair
    first.make()
    second.remove()
    assert _exists("netns", first.name)
    assert _exists("link", f"{first.name}a")
