"""The few commands that core brings itself; all others are plugins of the point `command`."""
