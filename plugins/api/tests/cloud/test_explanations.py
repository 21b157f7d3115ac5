"""explainHostHA and explainVirtualMachineHA."""

import json
import logging
import time

from holdfast.hooks.store import Insert
from holdfast.model import HaTransition, Host, HostCertificate, Moment, Permit, Vm, Work


def test_a_host_that_was_never_configured_says_so(site):
    """With the commands that would change it."""
    found = site.cloud.one("explainHostHA", id=site.first["id"])
    assert (found["haenable"], found["hastate"]) == (False, "Disabled")
    assert "configureHAForHost, then enableHAForHost" in found["reason"]
    assert found["heartbeats"] == [
        {"storageid": site.pool["id"], "storagename": "pool1", "heartbeat": "simulator"},
    ]
    assert found["story"] == found["virtualmachines"] == found["hawarnings"] == []
    assert "live" not in found


def test_a_host_is_explained_by_its_transitions_and_their_evidence(site):
    """Oldest first; what it waits for; its power; its VMs."""
    cloud = site.cloud
    host = cloud.row(Host, site.first["id"])
    cloud.configure_ha(site.first, enabled=True, ha_state="Fencing", reason="no OFF yet", waiting_for='["chassis OFF"]')
    cloud.configure_oobm(site.first)
    evidence = json.dumps([{"kind": "chassis-power", "opinion": "unknown", "detail": "no answer"}])
    steps = [("HealthCheckFailed", "Suspect", "Available"), ("PowerOffConfirmed", "Fencing", "Suspect")]
    cloud.store.commit(
        [
            Insert(HaTransition(host_id=host.id, event=e, state=s, prev_state=p, reason="r", evidence=evidence))
            for e, s, p in steps
        ]
    )
    vm = site.deploy()
    cloud.run(vm, site.first)
    found = cloud.one("explainHostHA", id=site.first["id"])
    assert (found["hastate"], found["reason"], found["waitingfor"]) == ("Fencing", "no OFF yet", ["chassis OFF"])
    assert [step["hastate"] for step in found["story"]] == ["Suspect", "Fencing"]
    assert found["story"][0]["evidence"][0]["kind"] == "chassis-power"
    assert found["outofbandmanagement"]["password"] == "****"
    assert [one["name"] for one in found["virtualmachines"]] == ["HA-TEST-VM1"]


def test_the_manager_of_this_process_adds_what_it_sees(site):
    """And if it stumbles, what is stored is shown all the same."""
    live = site.cloud.api.context.live
    live["manager.explain_host"] = lambda uuid: {"host": uuid, "brake": "held"}
    found = site.cloud.one("explainHostHA", id=site.first["id"])
    assert found["live"] == {"host": site.first["id"], "brake": "held"}


def test_a_manager_that_stumbles_hides_nothing(site, caplog):
    """The log says what happened."""
    live = site.cloud.api.context.live
    live["manager.explain_host"] = live["manager.explain_vm"] = lambda uuid: 1 / 0
    with caplog.at_level(logging.WARNING, logger="holdfast_api"):
        assert "live" not in site.cloud.one("explainHostHA", id=site.first["id"])
        assert "live" not in site.cloud.one("explainVirtualMachineHA", id=site.deploy()["id"])
    assert "manager.explain_host cannot explain" in caplog.text


def test_a_vm_is_explained_by_its_permits_and_its_restarts(site):
    """Each run with the proof that the one before is over; each refusal of a host."""
    cloud = site.cloud
    vm = site.deploy()
    row = cloud.run(vm, site.first)
    [permit] = cloud.rows(Permit)
    cloud.set(permit, state="ended", ended=5.0, ended_by='{"kind": "chassis-off"}')
    second = cloud.row(Host, site.second["id"])
    again = Permit(vm_id=row.id, run_epoch=2, host_id=second.id, proof_kind="chassis-off", proof='{"at": 4}')
    refusals = json.dumps({"refused": {"ablecube31": "it is fenced"}})
    work = Work(instance_id=row.id, reason="HostFenced", step="Done", host_id=permit.host_id, explanation=refusals,
                finished=6.0, tried=1)  # fmt: skip
    cloud.store.commit([Insert(again), Insert(work)])
    found = cloud.one("explainVirtualMachineHA", id=vm["id"])
    assert [(one["runepoch"], one["hostname"], one["state"]) for one in found["permits"]] == [
        (1, "ablecube31", "ended"),
        (2, "ablecube33", "issued"),
    ]
    assert (found["permits"][0]["endedby"], found["permits"][1]["proof"]) == ({"kind": "chassis-off"}, {"at": 4})
    assert found["work"][0]["explanation"] == {"refused": {"ablecube31": "it is fenced"}}
    assert (found["work"][0]["reason"], found["work"][0]["tried"]) == ("HostFenced", 1)


def test_a_vm_says_what_ha_would_do_with_it(site):
    """In one sentence, for every reason there is."""
    cloud = site.cloud
    vm = site.deploy()

    def verdict():
        return cloud.one("explainVirtualMachineHA", id=vm["id"])["haverdict"]

    assert verdict() == "it is Stopped, and nothing asks for a restart"
    row = cloud.run(vm, site.first)
    assert "should its host be proved dead" in verdict()
    cloud.set(row, state="Stopping")
    assert verdict() == "HA does not restart it: it is being stopped by order"
    cloud.set(row, state="Starting")
    assert "a run of it may still be live" in verdict()
    [work] = cloud.store.commit([Insert(Work(instance_id=row.id, reason="VmCrashed", host_id=row.host_id))])
    assert verdict() == "a restart is under way: it is Scheduled, because of VmCrashed"
    cloud.set(cloud.store.get(Work, work), finished=9.0)
    cloud("updateVirtualMachine", id=vm["id"], haenable="false")
    assert verdict() == "HA does not restart it: haenable is false"
    cloud("updateConfiguration", name="force.ha", value="true")
    cloud("updateConfiguration", name="vm.ha.enabled", value="false", zoneid=site.zone["id"])
    assert "vm.ha.enabled is false in its zone" in verdict()


def test_documents_that_cannot_be_read_do_not_hide_the_rest(site):
    """Rows changed by hand are honoured, and may be wrong."""
    cloud = site.cloud
    cloud.configure_ha(site.first, enabled=True, waiting_for="{broken")
    vm = site.deploy()
    cloud.run(vm, site.first)
    cloud.set(cloud.rows(Permit)[0], proof="[1]", ended_by="nonsense")
    assert "waitingfor" not in cloud.one("explainHostHA", id=site.first["id"])
    [permit] = cloud.one("explainVirtualMachineHA", id=vm["id"])["permits"]
    assert "proof" not in permit
    assert cloud.row(Vm, vm["id"]).run_epoch == 1


def test_a_certificate_that_was_not_renewed_is_a_warning(site):
    """In the list and in the explanation; a later one takes it away, and one that was revoked does not."""
    cloud, uuid, day = site.cloud, site.first["id"], 86400.0

    def give(serial: str, issued: float, revoked: float | None = None) -> None:
        row = HostCertificate(
            uuid=serial, host_uuid=uuid, serial=serial, issued=Moment(issued), expires=Moment(issued + 90 * day),
            revoked=None if revoked is None else Moment(revoked),
        )  # fmt: skip
        cloud.store.commit([Insert(row)])

    now = time.time()
    give("a1", now - 80 * day)
    give("a2", now, revoked=now)
    (warning,) = cloud.one("listHosts", id=uuid)["hawarnings"]
    assert "its certificate ends in 10 days" in warning
    assert cloud.one("explainHostHA", id=uuid)["hawarnings"] == [warning]
    give("a3", now - 1)
    assert cloud.one("listHosts", id=uuid)["hawarnings"] == cloud.one("explainHostHA", id=uuid)["hawarnings"] == []
