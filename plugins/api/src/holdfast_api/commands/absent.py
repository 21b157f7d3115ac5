"""Lists of what this cloud has none of.

CloudStack's clients ask for them on the way to something else: libcloud wants the public addresses before it shows a
VM, Ansible the tags of what it changes. An empty list is the truth, and lets them go on; an unknown command stops them.
Nothing here can be made: there is no command for it.
"""

from holdfast_api.call import Call, Listing
from holdfast_api.registry import Command, Parameter, command

_NONE = {
    "listDiskOfferings": ("diskoffering", "disk offerings", "a VM has its root disk alone"),
    "listEgressFirewallRules": ("firewallrule", "egress rules", "networks are bridges that the hosts share"),
    "listFirewallRules": ("firewallrule", "firewall rules", "networks are bridges that the hosts share"),
    "listImageStores": ("imagestore", "secondary storage", "templates lie on primary storage"),
    "listInstanceGroups": ("instancegroup", "groups of VMs", "affinity groups are another thing"),
    "listIpForwardingRules": ("ipforwardingrule", "static translations", "networks are bridges that the hosts share"),
    "listIsos": ("iso", "ISO images", "VMs are made from templates"),
    "listLoadBalancerRules": ("loadbalancerrule", "balancing rules", "networks are bridges that the hosts share"),
    "listNetworkACLLists": ("networkacllist", "lists of network rules", "there are no VPCs"),
    "listNetworkACLs": ("networkacl", "network rules", "there are no VPCs"),
    "listPortForwardingRules": ("portforwardingrule", "port rules", "networks are bridges that the hosts share"),
    "listProjects": ("project", "projects", "there is one domain, and its accounts"),
    "listPublicIpAddresses": ("publicipaddress", "public addresses", "networks are bridges that the hosts share"),
    "listResourceLimits": ("resourcelimit", "limits of accounts", "only the room on the hosts limits them"),
    "listSSHKeyPairs": ("sshkeypair", "SSH keys", "guests get none from the cloud"),
    "listSecurityGroups": ("securitygroup", "security groups", "networks are bridges that the hosts share"),
    "listSnapshots": ("snapshot", "snapshots", "the storage makes them"),
    "listTags": ("tag", "tags", "host tags are a field of the host"),
    "listVMSnapshot": ("vmSnapshot", "snapshots of VMs", "the storage makes them"),
    "listVPCOfferings": ("vpcoffering", "offerings of VPCs", "there are no VPCs"),
    "listVPCs": ("vpc", "VPCs", "networks are bridges that the hosts share"),
    "listVpnConnections": ("vpnconnection", "VPN connections", "there are no VPCs"),
    "listVpnCustomerGateways": ("vpncustomergateway", "customers' VPN gateways", "there are no VPCs"),
    "listVpnGateways": ("vpngateway", "VPN gateways", "there are no VPCs"),
}


def _listing_none(name: str, responds: str, what: str, why: str) -> Command:
    @command(
        name,
        f"Lists {what}, of which there are none: {why}.",
        kind="list",
        responds=responds,
        access="user",
        parameters=(Parameter("id", "string", "the UUID of one"),),
    )
    def list_none(_call: Call) -> Listing:
        return Listing((), 0)

    return list_none


COMMANDS = tuple(_listing_none(name, *row) for name, row in _NONE.items())
