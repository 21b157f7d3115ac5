"""The simulated world: hosts, BMCs, storage, networks, management servers, and the truth about them."""
