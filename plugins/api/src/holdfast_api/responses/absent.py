"""What CloudStack's clients ask for and this cloud has none of: see `holdfast_api.commands.absent`."""

from holdfast_api.fields import Field, ResponseObject, as_given

NAMES = (
    "diskoffering",
    "firewallrule",
    "imagestore",
    "instancegroup",
    "ipforwardingrule",
    "iso",
    "loadbalancerrule",
    "networkacl",
    "networkacllist",
    "portforwardingrule",
    "project",
    "publicipaddress",
    "resourcelimit",
    "securitygroup",
    "snapshot",
    "sshkeypair",
    "tag",
    "vmSnapshot",
    "vpc",
    "vpcoffering",
    "vpnconnection",
    "vpncustomergateway",
    "vpngateway",
)
"""What CloudStack calls them; no answer ever holds one."""

_FIELDS = (Field("id", "string", "its UUID"), Field("name", "string", "its name"))
OBJECTS = tuple(ResponseObject(name=name, fields=_FIELDS, build=as_given) for name in NAMES)
