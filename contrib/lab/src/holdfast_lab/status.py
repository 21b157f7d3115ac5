"""What runs in a lab, by its processes, and by what Holdfast says of them."""

from holdfast.errors import HoldfastError
from holdfast_cli.client import Answer

from holdfast_lab.cloud import Cloud
from holdfast_lab.daemons import pid_of
from holdfast_lab.host import Host
from holdfast_lab.layout import Lab
from holdfast_lab.server import NAME, Server

_SERVICES = (("libvirtd", ("libvirtd", "--listen")), ("agent", ("holdfast", " agent")))


def tell(lab: Lab) -> None:
    """Print it."""
    servers = (lab.options.storage, "mariadb" if lab.options.db == "mariadb" else "", NAME)
    print(", ".join(f"{name} {'runs' if pid_of(name) else 'DOES NOT RUN'}" for name in servers if name))
    hosts, vms, problem = _asked(lab)
    if problem:
        print(f"Holdfast does not say anything: {problem}")
    for host in lab.hosts:
        print(f"{host.name}: {_seen(host)}{_said(hosts.get(host.name))}")
    for name, vm in sorted(vms.items()):
        where = f" on {vm['hostname']}" if vm.get("hostname") else ""
        print(f"{name}: {vm['state']}{where}, run {vm.get('runepoch', 0)}")


def _seen(host: Host) -> str:
    if not host.is_on:
        return "power off"
    running = [name for name, words in _SERVICES if host.matching(*words)]
    guests = len(host.matching("qemu-system", "-name"))
    bmc = "its BMC runs" if pid_of(f"bmc-{host.name}") else "its BMC DOES NOT RUN"
    return f"power on, {' and '.join(running) or 'nothing'} running, {guests} guests, {bmc}"


def _said(host: Answer | None) -> str:
    if host is None:
        return ""
    return f"; Holdfast: {host['state']}, {host['resourcestate']}, HA {host.get('hostha', {}).get('hastate', 'off')}"


def _asked(lab: Lab) -> tuple[dict[str, Answer], dict[str, Answer], str]:
    try:
        cloud, client = Cloud.load(lab.folder), Server(lab).client
        hosts = {str(host["name"]): host for host in client.items("listHosts", zoneid=cloud.zone, type="Routing")}
        vms = {str(vm["name"]): vm for vm in client.items("listVirtualMachines", zoneid=cloud.zone)}
    except HoldfastError as problem:
        return {}, {}, str(problem)
    return hosts, vms, ""
