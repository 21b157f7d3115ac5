"""The eight steps of the guide's scenario on real guests. Steps 1 to 7 also prepare a lab for faults."""

import time
from collections.abc import Callable

from holdfast_lab import addresses
from holdfast_lab.problems import LabError
from holdfast_lab.site import BOOT_SECONDS, Site
from holdfast_lab.stories import tell
from holdfast_lab.trial import Trial

VM_NAMES = ("HA-TEST-VM1", "HA-TEST-VM2", "HA-TEST-VM3")
AVAILABLE_SECONDS = 60.0
GUEST_MEMORY = 128
OFFERING = "2C-4GB-HA"
STEPS = 8


def prepare(site: Site) -> None:
    """Steps 1 to 7; those that are done already are not done again."""
    work: tuple[tuple[str, Callable[[Site], None]], ...] = (
        ("enable HA on the zone", _enable_zone),
        ("enable HA on the cluster, its hosts included", _enable_cluster),
        ("configure out-of-band management of each host", _configure_oobm),
        ("enable out-of-band management on each host", _enable_oobm),
        ("see each host's HA state Available, its provider kvmhaprovider", _see_available),
        (f"create the HA compute offering {OFFERING}", _create_offering),
        ("create three VMs on the host to be shut down", _create_vms),
    )
    for number, (title, step) in enumerate(work, 1):
        began = time.monotonic()
        step(site)
        site.say(f"step {number} of {STEPS}: {title}: done ({time.monotonic() - began:.1f} s)")
    site.cloud.save(site.lab.folder)


def _enable_zone(site: Site) -> None:
    site.run("enableHAForZone", zoneid=site.cloud.zone)


def _enable_cluster(site: Site) -> None:
    site.run("enableHAForCluster", clusterid=site.cloud.cluster, includehost=True)


def _configure_oobm(site: Site) -> None:
    for name in site.cloud.hosts:
        site.configure_bmc(name)


def _enable_oobm(site: Site) -> None:
    for name, uuid in site.cloud.hosts.items():
        answer = site.run("enableOutOfBandManagementForHost", hostid=uuid)
        shown = answer.get("outofbandmanagement", answer)
        if shown.get("powerstate") not in ("On", None):
            raise LabError(f"{name}: its BMC says {shown.get('powerstate')} while it is on")


def _see_available(site: Site) -> None:
    site.until("every host's HA state is Available", AVAILABLE_SECONDS, site.all_available)


def _create_offering(site: Site) -> None:
    if not site.cloud.offering:
        site.cloud.offering = site.client.call(
            "createServiceOffering", name=OFFERING, displaytext="2 cores, HA", cpunumber=2, cpuspeed=500,
            memory=GUEST_MEMORY, offerha=True,
        )["serviceoffering"]["id"]  # fmt: skip


def _create_vms(site: Site) -> None:
    victim = next(iter(site.cloud.hosts.values()))
    jobs = {}
    there = site.vms()
    for name in VM_NAMES:
        if name in there:
            site.cloud.vms[name] = there[name]["id"]
            if there[name]["state"] == "Stopped":
                jobs[name] = str(site.client.call("startVirtualMachine", id=there[name]["id"], hostid=victim)["jobid"])
            continue
        answer = site.client.call(
            "deployVirtualMachine", name=name, displayname=name, zoneid=site.cloud.zone,
            templateid=site.cloud.template, serviceofferingid=site.cloud.offering, networkids=site.cloud.network,
            hostid=victim,
        )  # fmt: skip
        site.cloud.vms[name], jobs[name] = str(answer["id"]), str(answer["jobid"])
    for name, job in jobs.items():
        vm = site.client.wait(job, site.waiting.job(f"{name} starts"))["virtualmachine"]
        if vm["state"] != "Running":
            raise LabError(f"{name} is {vm['state']} after its start")
    site.until("every guest writes to its disk", BOOT_SECONDS, site.all_alive)


def play(site: Site) -> bool:
    """All eight steps; whether everything held. Prints what happened."""
    prepare(site)
    victim = next(iter(site.cloud.hosts))
    trial = Trial(site, (victim,))
    trial.begin(f"power action OFF on {victim}")
    site.client.call("issueOutOfBandManagementPowerAction", hostid=site.cloud.hosts[victim], action="OFF")
    trial.until_moved(BOOT_SECONDS)
    trial.settle()
    if site.lab.host(victim).is_on:
        trial.faults_found.append(f"{victim} is on: it was ordered off, and nobody ordered it on")
    tell(trial)
    state = "passed" if trial.holds else "FAILED"
    site.say(
        f"step {STEPS} of {STEPS}: power {victim} ({addresses.address_of(victim)}) off, and see its VMs move: {state}"
    )
    return trial.holds
