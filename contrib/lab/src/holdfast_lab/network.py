"""Bridges, network namespaces and the wires between them; and ways to cut a wire."""

from pathlib import Path

from holdfast_lab.addresses import BRIDGES, port_name
from holdfast_lab.commands import run

NAMES = Path("/run/netns")


def make_bridges() -> None:
    """The bridges, in the lab's own network namespace, with a foot of the lab in each."""
    run("ip", "link", "set", "lo", "up")
    for name, prefix in BRIDGES.items():
        run("ip", "link", "add", name, "type", "bridge", "forward_delay", "0", "stp_state", "0")
        run("ip", "address", "add", f"{prefix}.1/24", "dev", name)
        run("ip", "link", "set", name, "up")


def make_namespace(name: str) -> None:
    """A network namespace with its loopback up."""
    run("ip", "netns", "add", name)
    run("ip", "-n", name, "link", "set", "lo", "up")


def attach(namespace: str, network: str, number: int) -> None:
    """A wire from a namespace to a bridge; inside it is called as the network is, outside as `port_name` says."""
    outside = port_name(namespace, network)
    run("ip", "link", "add", outside, "type", "veth", "peer", "name", network, "netns", namespace)
    run("ip", "link", "set", outside, "master", network, "up")
    run("ip", "-n", namespace, "address", "add", f"{BRIDGES[network]}.{number}/24", "dev", network)
    run("ip", "-n", namespace, "link", "set", network, "up")


def cut(namespace: str, network: str) -> None:
    """Cut a wire: nothing passes, and nobody is told so."""
    run("ip", "link", "set", port_name(namespace, network), "nomaster")


def mend(namespace: str, network: str) -> None:
    """Undo `cut`."""
    run("ip", "link", "set", port_name(namespace, network), "master", network)


def inside(namespace: str, *words: str | Path) -> list[str]:
    """The words that run a program in a namespace."""
    return ["ip", "netns", "exec", namespace, *(str(word) for word in words)]
