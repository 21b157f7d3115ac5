"""The catalogue of global settings, as data: name, kind, our default, upstream's, scope, unit, meaning, category, bounds.

Upstream's defaults are CloudStack 4.22's. Times are in the unit given, not in upstream's 1,024 ms ticks.
"""
# ruff: noqa: E501 - a table reads best with a row to a line

from collections.abc import Mapping
from typing import Literal

_Entry = tuple[
    str,
    Literal["int", "float", "bool", "text"],
    str,
    str,
    Literal["Global", "Zone", "Cluster", "StoragePool"],
    str,
    str,
    str,
    float | None,
    float | None,
]

# fmt: off
ENTRIES: tuple[_Entry, ...] = (
    ("kvm.ha.health.check.timeout", "float", "3", "10", "Cluster", "s", "Deadline of one health check of a host.", "ha", 0.1, 600),
    ("kvm.ha.activity.check.timeout", "float", "3", "60", "Cluster", "s", "Deadline of one activity check (all pools, through a neighbour).", "ha", 0.1, 600),
    ("kvm.ha.activity.check.interval", "float", "0.5", "60", "Cluster", "s", "Time between two activity checks of a suspect host.", "ha", 0.1, 600),
    ("kvm.ha.activity.check.max.attempts", "int", "3", "10", "Cluster", "", "Activity samples of one series; with the failure ratio it says how many DEAD samples in a row are needed: floor(attempts x ratio) + 1.", "ha", 1, 100),
    ("kvm.ha.activity.check.failure.ratio", "float", "0.5", "0.7", "Cluster", "", "See kvm.ha.activity.check.max.attempts.", "ha", 0, 0.99),
    ("kvm.ha.activity.check.success.threshold", "int", "10", "-", "Cluster", "", "ALIVE activity samples in a row after which an unreachable host is called Degraded.", "ha", 1, 1000),
    ("kvm.ha.activity.check.window", "float", "30", "-", "Cluster", "s", "A disk of a silent host's VMs that was seen to change within this time counts as a sign of life: the host is not fenced for being silent alone.", "ha", 1, 600),
    ("kvm.ha.degraded.max.period", "float", "300", "300", "Cluster", "s", "Time in Degraded after which the host is suspected afresh.", "ha", 1, 86400),
    ("kvm.ha.recover.timeout", "float", "60", "60", "Cluster", "s", "Deadline of one recovery attempt.", "ha", 1, 3600),
    ("kvm.ha.recover.wait.period", "float", "120", "600", "Cluster", "s", "Time a recovered host has to come back.", "ha", 0, 86400),
    ("kvm.ha.recover.failure.threshold", "int", "0", "1", "Cluster", "", "Recovery attempts before fencing; 0 fences at once and restarts the VMs elsewhere.", "ha", 0, 10),
    ("kvm.ha.fence.timeout", "float", "10", "60", "Cluster", "s", "Bound on one fence attempt: power off and read-backs.", "ha", 1, 3600),
    ("kvm.ha.fence.on.storage.heartbeat.failure", "bool", "false", "false", "Global", "", "Kept for its name: one bad pool never condemns a host, so only false is accepted.", "ha", None, None),
    ("kvm.ha.power.off.check.enabled", "bool", "true", "-", "Cluster", "", "Read the chassis power of a suspect host, and let repeated OFF lead to fencing at once.", "ha", None, None),
    ("kvm.ha.power.off.confirmations", "int", "3", "-", "Cluster", "", "OFF readings in a row that confirm a suspect host is off.", "ha", 2, 20),
    ("kvm.ha.power.off.max.interval", "float", "10", "-", "Cluster", "s", "An older OFF reading no longer counts.", "ha", 1, 3600),
    ("kvm.ha.power.check.timeout", "float", "2", "-", "Cluster", "s", "Deadline of one power reading.", "ha", 0.1, 60),
    ("kvm.ha.power.check.interval", "float", "0.25", "-", "Cluster", "s", "Time between two power readings of a suspect or fenced host.", "ha", 0.05, 60),
    ("kvm.ha.fence.power.off.confirmations", "int", "3", "-", "Cluster", "", "OFF read-backs in a row that prove a fence.", "ha", 2, 20),
    ("kvm.ha.on.storage.heartbeat", "bool", "true", "-", "StoragePool", "", "The pool takes part in host HA.", "ha", None, None),
    ("ha.power.on.after.fence", "bool", "true", "-", "Cluster", "", "Power a fenced host on again once its VMs have been permitted elsewhere, unless an operator ordered it off.", "ha", None, None),
    ("ha.return.after.fence", "float", "0", "-", "Cluster", "s", "A host that host HA fenced leaves Maintenance by itself once it has been healthy for so long without a break; 0: only cancelHostMaintenance returns it.", "ha", 0, 86400),
    ("ha.fence.retry.interval", "float", "5", "-", "Cluster", "s", "Wait before the second fence attempt; doubles up to ha.fence.retry.max.interval.", "ha", 0.5, 600),
    ("ha.fence.retry.max.interval", "float", "60", "-", "Cluster", "s", "Longest wait between fence attempts.", "ha", 1, 3600),
    ("ha.fence.max.attempts", "int", "5", "-", "Cluster", "", "Failed fence attempts after which an alert says that the host is stuck; slow attempts and the other proofs go on.", "ha", 1, 100),
    ("ha.checking.interval", "float", "2", "4", "Global", "s", "Time between two polls of the tables.", "ha", 0.2, 60),
    ("ha.brake.fraction", "float", "0.3", "-", "Cluster", "", "The brake holds fencing when more than this share of a cluster or zone is silent at once.", "ha", 0, 1),
    ("ha.brake.min.hosts", "int", "2", "-", "Cluster", "", "Up to this many silent hosts never trip the brake.", "ha", 1, 1000),
    ("ha.storage.beat.interval", "float", "1", "60", "Global", "s", "Time between two storage heartbeats of a host.", "ha", 0.2, 60),
    ("ha.storage.beat.stale", "float", "4", "60", "Global", "s", "A storage heartbeat that has not moved for so long, by the reader's clock, is stale.", "ha", 1, 600),
    ("ha.storage.lease", "float", "10", "-", "Global", "s", "A host whose storage heartbeats all fail for so long stops feeding its watchdog.", "ha", 2, 600),
    ("ha.watchdog.time", "float", "10", "-", "Global", "s", "A watchdog that is not fed for so long resets the host.", "ha", 2, 600),
    ("ha.watchdog.margin", "float", "5", "-", "Global", "s", "Added to lease and watchdog before a host counts as dead by lease.", "ha", 1, 600),
    ("ha.self.fence.action", "text", "reboot", "reboot", "Global", "", "What an agent does when its storage lease ends while VMs run on the pool: none, stop or reboot.", "ha", None, None),
    ("ha.max.concurrent.health.check.operations", "int", "50", "50", "Global", "", "Health checks at once, per management server.", "ha", 1, 10000),
    ("ha.max.concurrent.activity.check.operations", "int", "50", "25", "Global", "", "Activity checks at once, per management server.", "ha", 1, 10000),
    ("ha.max.concurrent.recovery.operations", "int", "25", "25", "Global", "", "Recovery attempts at once, per management server.", "ha", 1, 10000),
    ("ha.max.concurrent.fence.operations", "int", "100", "25", "Global", "", "Fence attempts and read-backs at once, per management server.", "ha", 1, 10000),
    ("vm.ha.enabled", "bool", "true", "true", "Zone", "", "Restart HA VMs of this zone.", "vm-ha", None, None),
    ("vm.ha.migration.max.retries", "int", "5", "5", "Global", "", "Failed starts of one VM after which its work item ends in Error with an alert.", "vm-ha", 1, 1000),
    ("force.ha", "bool", "false", "false", "Global", "", "Treat every VM as HA-enabled.", "vm-ha", None, None),
    ("ha.tag", "text", "", "", "Global", "", "Host tag of dedicated HA hosts: they take only VMs restarted by HA.", "vm-ha", None, 100),
    ("ha.vm.restart.hostup", "bool", "true", "true", "Global", "", "Restart an HA VM that crashed although its host is Up.", "vm-ha", None, None),
    ("ha.vm.restart.after.shutdown", "bool", "false", "-", "Global", "", "Also restart an HA VM whose guest shut itself down cleanly.", "vm-ha", None, None),
    ("ha.vm.crash.limit", "int", "5", "-", "Global", "", "Crashes of one VM within time.between.failures after which it is left stopped with an alert.", "vm-ha", 1, 1000),
    ("time.between.failures", "float", "3600", "3600", "Global", "s", "Window of ha.vm.crash.limit.", "vm-ha", 1, 604800),
    ("ha.vm.start.timeout", "float", "60", "-", "Global", "s", "Deadline of one VM start or stop.", "vm-ha", 1, 3600),
    ("ha.starts.per.host", "int", "8", "-", "Global", "", "VM starts at once on one host.", "vm-ha", 1, 1000),
    ("restart.retry.interval", "float", "10", "600", "Global", "s", "Wait before a VM's start is tried again; doubles up to ten times this.", "vm-ha", 0.5, 3600),
    ("investigate.retry.interval", "float", "5", "60", "Global", "s", "Wait before a VM whose fate is unknown is looked at again.", "vm-ha", 0.5, 3600),
    ("ping.interval", "float", "1", "60", "Global", "s", "Time between two beats of an agent.", "agent", 0.2, 60),
    ("ping.timeout", "float", "3", "2.5", "Global", "", "An agent is silent after this many intervals without a beat.", "agent", 2, 100),
    ("host", "text", "localhost", "localhost", "Global", "", "Address that agents dial on 8250: the balancer's virtual address, or a list.", "agent", None, None),
    ("indirect.agent.lb.algorithm", "text", "static", "static", "Global", "", "How agents choose among several servers: static, roundrobin or shuffle.", "agent", None, None),
    ("cluster.heartbeat.interval", "float", "1000", "1500", "Global", "ms", "Time between two renewals of a management server's lease.", "cluster", 100, 60000),
    ("cluster.heartbeat.threshold", "float", "5000", "150000", "Global", "ms", "Length of that lease: a server that cannot renew it stops acting.", "cluster", 1000, 600000),
    ("outofbandmanagement.action.timeout", "float", "60", "60", "Cluster", "s", "Deadline of a power action asked for by an operator.", "oobm", 1, 3600),
    ("outofbandmanagement.background.task.execution.interval", "float", "10", "4", "Global", "s", "Time between two background power readings of a host.", "oobm", 0.5, 3600),
    ("outofbandmanagement.readiness.interval", "float", "300", "-", "Global", "s", "Time between two looks at a fence device as a fence would meet it: login, privilege, certificate.", "oobm", 10, 86400),
    ("outofbandmanagement.readiness.timeout", "float", "10", "-", "Global", "s", "Deadline of one such look.", "oobm", 1, 120),
    ("outofbandmanagement.sync.poolsize", "int", "50", "50", "Global", "", "Background power readings at once.", "oobm", 1, 10000),
    ("cluster.cpu.allocated.capacity.disablethreshold", "float", "1", "0.85", "Cluster", "", "Share of a host's CPU beyond which no VM is deployed on it.", "capacity", 0.01, 1),
    ("cluster.memory.allocated.capacity.disablethreshold", "float", "1", "0.85", "Cluster", "", "Share of a host's memory beyond which no VM is deployed on it.", "capacity", 0.01, 1),
    ("integration.api.port", "int", "0", "0", "Global", "", "Port of the unauthenticated API; 0 is off. The configuration file decides; this shows it.", "api", 0, 65535),
    ("default.page.size", "int", "500", "500", "Global", "", "Largest page of a list.", "api", 1, 100000),
    ("api.session.timeout", "float", "1800", "1800", "Global", "s", "A login that is idle for so long ends.", "api", 60, 86400),
    ("enforce.post.requests.and.timestamps", "bool", "false", "false", "Global", "", "Demand POST for changes and a timestamp on signed calls.", "api", None, None),
    ("job.expire.minutes", "float", "1440", "1440", "Global", "min", "A finished job is kept for so long.", "api", 1, 525600),
    ("event.purge.days", "float", "90", "0", "Global", "d", "Events older than this are removed; 0 keeps them for ever.", "api", 0, 3650),
)
# fmt: on

WORDS: Mapping[str, tuple[str, ...]] = {
    "kvm.ha.fence.on.storage.heartbeat.failure": ("false",),
    "ha.self.fence.action": ("none", "stop", "reboot"),
    "indirect.agent.lb.algorithm": ("static", "roundrobin", "shuffle"),
}
"""The only words that these settings take."""
