"""Puts the raw lab together, from inside its namespaces: wires, storage, database, BMCs, hosts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from holdfast_lab import addresses, network
from holdfast_lab.bmcs import bmc_of
from holdfast_lab.boards import device_of, watchdog_of
from holdfast_lab.host import Host
from holdfast_lab.layout import Lab


def assemble(lab: Lab, say: Callable[[str], None]) -> None:
    """Everything but Holdfast itself. Hosts are on when this returns, their libvirtd perhaps not yet."""
    network.make_bridges()
    for name, net, number in (
        (addresses.SERVER, addresses.MANAGEMENT, addresses.SERVER_NUMBER),
        (addresses.STORAGE, addresses.STORAGE, addresses.STORAGE_NUMBER),
        (addresses.DATABASE, addresses.MANAGEMENT, addresses.DATABASE_NUMBER),
    ):
        network.make_namespace(name)
        network.attach(name, net, number)
    network.attach(addresses.SERVER, addresses.OUT_OF_BAND, addresses.SERVER_NUMBER)
    names = {host.name: addresses.address_of(host.name) for host in lab.hosts} | {"server": addresses.SERVER_ADDRESS}
    for host in lab.hosts:
        host.furnish(names, device_of(host) if lab.options.watchdog else None)
    say(f"networks {', '.join(addresses.BRIDGES)}; hosts {', '.join(names)}")

    def storage() -> None:
        lab.storage.furnish()
        lab.storage.start()
        say(f"storage {lab.options.storage} at {addresses.STORAGE_ADDRESS}")

    def database() -> None:
        if lab.options.db == "mariadb":
            lab.database.furnish()
            lab.database.start()
            say(f"database MariaDB at {addresses.DATABASE_ADDRESS}")

    def machine(host: Host) -> None:
        if lab.options.watchdog:
            watchdog_of(host).start()
        bmc_of(host, lab.options.oobm).start()
        host.power_on()
        say(
            f"{host.name}: BMC {lab.options.oobm} at {addresses.address_of(host.name, addresses.OUT_OF_BAND)}; power on"
        )

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(storage), pool.submit(database), *(pool.submit(machine, host) for host in lab.hosts)]
        for one in running:
            one.result()
