"""The running loop of a Holdfast management server."""
