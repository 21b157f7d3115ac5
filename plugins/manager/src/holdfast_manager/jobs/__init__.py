"""Jobs asked for through the API: one module per family of commands."""
