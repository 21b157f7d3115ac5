"""Guests of the lab and of tests: a bootable image that says on its disk which run of it is alive."""
