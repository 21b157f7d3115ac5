"""Power control of hosts over IPMI 2.0 (RMCP+) for Holdfast."""
