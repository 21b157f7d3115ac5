"""Power control of hosts over Redfish."""
