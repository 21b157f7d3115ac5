"""What agents and management servers say to each other: bytes and words only, no I/O.

Version 1. A frame is a length, a kind and a body (`frames`); all bodies but those of beats are JSON (`messages`).
"""

VERSION = 1
"""Spoken by this program. The agent offers the versions that it knows, and the server chooses one."""

SERVER_NAME = "holdfast-server"
"""The DNS name in the certificate of every management server, whatever its address: agents check this name."""

HOST_URI = "holdfast:host:"
"""A host's certificate carries this followed by the host's uuid."""
