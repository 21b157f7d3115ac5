"""Whether the owner counts on this host's watchdog. Pure."""


class Claim:
    """The watchdog may rest only while no claim stands: what the owner believes, it may act upon.

    A claim stands from the first beat that says "armed" until the owner, having known of it, says that it counts on
    the watchdog no more. An answer that was on its way before the owner knew does not end it.
    """

    def __init__(self) -> None:
        self._made = False
        self._known = False

    @property
    def stands(self) -> bool:
        """Whether the owner may count on the watchdog."""
        return self._made

    def made(self) -> None:
        """A beat says that the watchdog is armed."""
        self._made = True

    def owner_says(self, counts_on_it: bool, claimed: bool) -> None:
        """The owner's orders say whether it counts on the watchdog; `claimed` is whether beats claim it now."""
        if counts_on_it:
            self._made = self._known = True
        elif self._known and not claimed:
            self._made = self._known = False
