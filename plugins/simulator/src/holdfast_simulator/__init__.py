"""A simulated world for Holdfast: hosts, BMCs, pools, networks, virtual time and scenarios."""
