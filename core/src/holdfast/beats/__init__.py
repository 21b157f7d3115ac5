"""What storage heartbeats share, whatever carries them: the record, what readers make of it, a driver to build on."""
