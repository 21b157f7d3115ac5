"""Volumes: the root disks of VMs. They have no rows of their own; each is what its VM says of it."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.model import Account, StoragePool, Template, Vm

from holdfast_api.domains import ROOT_NAME, ROOT_UUID
from holdfast_api.fields import Answer, Field, ResponseObject
from holdfast_api.responses.zones import ZONE_REF
from holdfast_api.rows import Places, by_id
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call


def volume_uuid(vm: Vm) -> str:
    """The id of a VM's root disk: it follows from the VM's."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"holdfast:volume:{vm.uuid}:root"))


def _volumes(call: "Call", vms: Sequence[Vm]) -> list[Answer]:
    places = Places(call.store, zones=(vm.data_center_id for vm in vms))
    pools = by_id(call.store, StoragePool, (vm.pool_id for vm in vms))
    templates = by_id(call.store, Template, (vm.vm_template_id for vm in vms))
    accounts = by_id(call.store, Account, (vm.account_id for vm in vms))
    return [
        {
            "id": volume_uuid(vm),
            "name": f"ROOT-{vm.id}",
            **places.answer(zone=vm.data_center_id),
            "type": "ROOT",
            "deviceid": 0,
            # A disk is made when its VM first starts.
            "state": "Ready" if vm.run_epoch else "Allocated",
            "path": vm.root_disk or vm.uuid,
            "virtualmachineid": vm.uuid,
            "vmname": vm.name,
            "vmdisplayname": vm.display_name or vm.name,
            "vmstate": str(vm.state),
            **_origin(pools.get(vm.pool_id or 0), templates.get(vm.vm_template_id)),
            "created": moment_text(vm.created),
            "account": accounts[vm.account_id].account_name if vm.account_id in accounts else None,
            "domain": ROOT_NAME,
            "domainid": ROOT_UUID,
            "isextractable": False,
        }
        for vm in vms
    ]


def _origin(pool: StoragePool | None, template: Template | None) -> Answer:
    return {
        "storage": pool.name if pool else None,
        "storageid": pool.uuid if pool else None,
        "storagetype": "local" if pool and pool.scope == "HOST" else "shared",
        "templateid": template.uuid if template else None,
        "templatename": template.name if template else None,
        "hypervisor": template.hypervisor_type if template else None,
        "size": template.size if template else 0,
    }


VOLUME = ResponseObject(
    name="volume",
    fields=(
        Field("id", "string", "the UUID of the volume"),
        Field("name", "string", "name of the volume"),
        *ZONE_REF,
        Field("type", "string", "ROOT"),
        Field("deviceid", "long", "its place in the VM"),
        Field("state", "string", "Ready, or Allocated before the VM's first start"),
        Field("path", "string", "what it is called in its storage pool"),
        Field("virtualmachineid", "string", "the UUID of its VM"),
        Field("vmname", "string", "name of its VM"),
        Field("vmdisplayname", "string", "name of its VM to show"),
        Field("vmstate", "string", "state of its VM"),
        Field("storage", "string", "name of its storage pool"),
        Field("storageid", "string", "the UUID of its storage pool"),
        Field("storagetype", "string", "shared or local"),
        Field("templateid", "string", "the UUID of the template it was made from"),
        Field("templatename", "string", "name of that template"),
        Field("hypervisor", "string", "hypervisor of its VM"),
        Field("size", "long", "bytes of the template, as far as they are known"),
        Field("created", "date", "when its VM was made"),
        Field("account", "string", "name of the account that owns it"),
        Field("domain", "string", "name of the domain"),
        Field("domainid", "string", "the UUID of the domain"),
        Field("isextractable", "boolean", "whether it can be downloaded"),
    ),
    build=_volumes,
)
