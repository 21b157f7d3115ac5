"""Storage heartbeats on iSCSI LUNs and other shared block devices."""
