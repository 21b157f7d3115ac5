"""The one network offering there is: a network is a bridge that the hosts share."""

import uuid

NETWORK_OFFERING_NAME = "DefaultSharedNetworkOffering"
NETWORK_OFFERING_UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, f"holdfast:networkoffering:{NETWORK_OFFERING_NAME}"))
"""The same on every server, so that it needs no row."""
