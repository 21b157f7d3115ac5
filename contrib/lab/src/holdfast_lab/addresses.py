"""Where things are inside a lab. Every lab has networks of its own, so all labs use the same addresses."""

MANAGEMENT, STORAGE, OUT_OF_BAND = "management", "storage", "oob"
BRIDGES = {MANAGEMENT: "10.99.1", STORAGE: "10.99.2", OUT_OF_BAND: "10.99.3"}
"""Bridges and the first three numbers of their networks, all /24. The lab's own foot in each is .1."""

SERVER, STORAGE_SERVER, DATABASE = "server", "storage", "database"
PLACES = (SERVER, STORAGE_SERVER, DATABASE)
"""Network namespaces, besides those of the hosts and `bmc-` each."""

SERVER_NUMBER, STORAGE_NUMBER, DATABASE_NUMBER = 10, 20, 12
SERVER_ADDRESS = f"{BRIDGES[MANAGEMENT]}.{SERVER_NUMBER}"
STORAGE_ADDRESS = f"{BRIDGES[STORAGE]}.{STORAGE_NUMBER}"
DATABASE_ADDRESS = f"{BRIDGES[MANAGEMENT]}.{DATABASE_NUMBER}"
API = f"http://{SERVER_ADDRESS}:8080/client/api"


def number_of(host: str) -> int:
    """The last number of all addresses of a host, and of its BMC: 31 for ablecube31."""
    return int(host.removeprefix("ablecube"))


def address_of(host: str, network: str = MANAGEMENT) -> str:
    """A host's address in a network; in `OUT_OF_BAND` it is its BMC's."""
    return f"{BRIDGES[network]}.{number_of(host)}"


def bmc_namespace(host: str) -> str:
    """The network namespace of a host's BMC."""
    return f"bmc-{host}"


def port_name(namespace: str, network: str) -> str:
    """The bridge's side of a namespace's wire; at most 15 characters, as Linux wants."""
    return f"{network[0]}-{namespace.removeprefix('bmc-')}"
