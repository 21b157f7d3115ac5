"""Power control of hosts that are VMs of an outer CloudStack."""
