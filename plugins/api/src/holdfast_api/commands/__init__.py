"""Commands, one module per part of the cloud.

ASYNC COMMANDS: what a management server finds in `async_job` and leaves there. `job_cmd` is the command's name;
`job_cmd_info` holds exactly the keys below (? may be missing; every reference is a database id, an integer);
`host_id` of the job is the host given in brackets, or NULL; `instance_type`/`instance_uuid` name what it is about.
The job ends with `job_status` 1 and the given `job_result`, or 2 with {"errorcode": 530, "errortext": why, and what to
do}. Errors: 530 switch off, not configured, driver failed; 533 no room; 536 somebody else was first; 431 otherwise.

    job_cmd                                     job_cmd_info              [host_id]    job_result
    reconnectHost                               id                        [id]         HOST
    prepareHostForMaintenance                   id                        [id]         HOST
    cancelHostMaintenance                       id                        [id]         HOST
    declareHostDead                             id, name                  [id]         HOST
    deployVirtualMachine                        startvm, hostid?          [hostid]     VM
    startVirtualMachine                         id, hostid?               [hostid]     VM
    stopVirtualMachine                          id, forced                [VM's host]  VM
    rebootVirtualMachine                        id, forced                [VM's host]  VM
    destroyVirtualMachine                       id, expunge               [VM's host]  VM
    migrateVirtualMachine                       virtualmachineid, hostid? [VM's host]  VM
    configureHAForHost                          hostid, provider          [hostid]     HA
    enableHAForHost, disableHAForHost           hostid                    [hostid]     HA
    enableHAForCluster, disableHAForCluster     clusterid, includehost    []           {"success": true}
    enableHAForZone, disableHAForZone           zoneid                    []           {"success": true}
    enableOutOfBandManagementForHost            hostid                    [hostid]     OOBM
    disableOutOfBandManagementForHost           hostid                    [hostid]     OOBM
    issueOutOfBandManagementPowerAction         hostid, action, timeout?, [hostid]     OOBM, "action", "description",
                                                level?, index?                         "powerstate", level?, index?
    changeOutOfBandManagementPassword           hostid, level?, index?    [hostid]     OOBM
    runFenceDrill                               hostid, level?, timeout?  [hostid]     DRILL
    enableOutOfBandManagementForCluster         clusterid                 []           SWITCH
    disableOutOfBandManagementForCluster        clusterid                 []           SWITCH
    enableOutOfBandManagementForZone            zoneid                    []           SWITCH
    disableOutOfBandManagementForZone           zoneid                    []           SWITCH

    HOST    {"object": "host", "id": 3}
    VM      {"object": "virtualmachine", "id": 7}
    HA      {"object": "hostha", "hostid": 3, "status": true}
    OOBM    {"object": "outofbandmanagement", "hostid": 3, "status": true}
    DRILL   {"object": "fencedrill", "hostid": 3, "description", "stages": [{"level", "stage", "seconds"}]}
    SWITCH  {"object": "outofbandmanagement", "enabled": true or false, "status": true}

- deployVirtualMachine: the VM's row was made in the same batch as the job (Stopped, run epoch 0), which names it in
  `instance_uuid`. With `startvm` false nothing is left to
  do; with `hostid` it starts there and nowhere else. When it cannot be started the row stays, Stopped, with `reason`.
- startVirtualMachine of a VM that runs, stopVirtualMachine of one that is stopped: nothing to do, success.
- destroyVirtualMachine stops the VM first; then state Destroyed, and with `expunge` Expunging and `removed` set.
- migrateVirtualMachine without `hostid`: to the host that placement chooses. Host tags hold nobody back (M4.3).
- configureHAForHost: `provider` is the configured name, lower case, found to fit the host's hypervisor when ordered.
- enableHAForCluster and disableHAForCluster with `includehost`: also each host's own switch; a host without provider
  gets the one of its hypervisor (kvmhaprovider, simulatorhaprovider).
- issueOutOfBandManagementPowerAction: `action` is one of `PowerAction`; `timeout` in seconds replaces the setting
  outofbandmanagement.action.timeout. "description" is what the driver said, "powerstate" what was read afterwards. All
  switches were on when it was ordered; check them again. `level` and `index`, always together, name one fence device;
  without them it is the host as a whole. For changeOutOfBandManagementPassword it is then its first device.
- changeOutOfBandManagementPassword: the new password waits, encrypted, in `oobm.new_password`: put it into the BMC,
  then move it to `password` and set `new_password` to None in one batch. Should a crash leave it there, log in with
  either to find out which is in force. A refusal by the BMC sets `new_password` to None.
- runFenceDrill: the host was in Maintenance when it was ordered. Refuse unless it still is, and is empty, just before
  its power is cut; whatever happens, it is powered on again. cancelHostMaintenance waits until no drill is pending.
- declareHostDead: `name` was the host's name when ordered. Refuse if the host shows signs of life by then.
- An event of state "Scheduled" was stored with the job; write its end under the same type, state "Completed" (level
  ERROR if it failed), `resource_type` and `resource_id` being the job's `instance_type` and `instance_uuid`.

SYNC COMMANDS write rows that managers pick up when the bell rings "inventory" (or at the next poll). addHost leaves a
host in status Connecting without cpus, speed and ram: the manager attaches it and fills them in. deleteHost sets
`removed` and status Removed. configureSimulatorHAProviderState replaces the host details `simulator.ha.health`,
`.activity`, `.recover` and `.fence` ("true" or "false"), raises `simulator.ha.revision` (a whole number; when it moves,
the host's HA counters start afresh), and hides the transitions recorded so far.
"""

MODULES: tuple[str, ...] = (
    "holdfast_api.commands.session",
    "holdfast_api.commands.discovery",
    "holdfast_api.commands.jobs",
    "holdfast_api.commands.identity",
    "holdfast_api.commands.configuration",
    "holdfast_api.commands.journal",
    "holdfast_api.commands.management",
    "holdfast_api.commands.zones",
    "holdfast_api.commands.pods",
    "holdfast_api.commands.clusters",
    "holdfast_api.commands.storage",
    "holdfast_api.commands.host_adding",
    "holdfast_api.commands.hosts",
    "holdfast_api.commands.host_service",
    "holdfast_api.commands.certificates",
    "holdfast_api.commands.fence_devices",
    "holdfast_api.commands.out_of_band",
    "holdfast_api.commands.fence_drill",
    "holdfast_api.commands.host_ha",
    "holdfast_api.commands.simulator_ha",
    "holdfast_api.commands.offerings",
    "holdfast_api.commands.templates",
    "holdfast_api.commands.networks",
    "holdfast_api.commands.vm_deployment",
    "holdfast_api.commands.virtual_machines",
    "holdfast_api.commands.vm_actions",
    "holdfast_api.commands.volumes",
    "holdfast_api.commands.affinity",
    "holdfast_api.commands.absent",
    "holdfast_api.commands.explanations",
)
"""The modules whose commands are served."""
