"""What the agent does with the host's storage: heartbeats, the storage lease, the watchdog, self-fencing."""
