"""All times of the pilot, in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """`silence`: a host that answers nothing for so long is lost, first on the kept connection, then on a new one.

    `patience`: how long one call waits for a usable host; `start`: the same before any host was ever usable.
    `catch_up`: how long a replica may take to apply what it had received. `handover`: how long the first host may take
    to learn that it is the writer again. `commit`: how long the commit of a move may wait for replicas.
    `accept_loss` is no time: take over also where something is known to be lost.
    """

    silence: float = 2.0
    look: float = 0.5
    survey: float = 5.0
    patience: float = 8.0
    start: float = 60.0
    catch_up: float = 10.0
    handover: float = 5.0
    commit: float = 0.3
    shortest_pause: float = 0.25
    longest_pause: float = 5.0
    still_connected: float = 1.0
    tidy: float = 600.0
    accept_loss: bool = False
