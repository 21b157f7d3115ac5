"""What an author lends the OOBM suite: a BMC to talk to, and the knobs to turn behind the driver's back."""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView

EVERY_ACTION = frozenset({PowerAction.ON, PowerAction.OFF, PowerAction.CYCLE, PowerAction.RESET, PowerAction.SOFT})


@dataclass(frozen=True, slots=True)
class OobmCapabilities:
    """What the technology and the bench can do. Switch a flag off only for what cannot be there at all.

    Driver: `actions` it can ask for; `authenticates` if credentials can be wrong; `changes_password`.
    Bench: each `can_…` guards the knob of that name; `two_bmcs` guards `other_bmc`.
    `settle_seconds` is the longest that the bench's chassis takes from an accepted action until it reads so;
    `deadline_seconds` what one call needs at most when all is well.
    """

    actions: frozenset[PowerAction] = EVERY_ACTION
    authenticates: bool = True
    changes_password: bool = False
    can_refuse: bool = True
    can_ignore_actions: bool = True
    can_show_odd_state: bool = True
    two_bmcs: bool = True
    settle_seconds: float = 5.0
    deadline_seconds: float = 5.0


class OobmBench(ABC):
    """A BMC, real or simulated, with its chassis. Knobs act at once and without the driver.

    `bmc` carries a distinctive password of at least eight characters, so that the suite can look for it.
    """

    @property
    @abstractmethod
    def bmc(self) -> BmcView:
        """The BMC that the suite works on. The same one each time, with good credentials."""

    @abstractmethod
    def force_power(self, state: PowerState) -> None:
        """Press the button: the chassis is ON or OFF when this returns."""

    @abstractmethod
    def make_unreachable(self) -> None:
        """From now on nobody answers at the BMC's address: packets vanish, and nothing is refused."""

    @abstractmethod
    def make_reachable(self) -> None:
        """Undo `make_unreachable`. Harmless if it was not made."""

    @property
    def other_bmc(self) -> BmcView:
        """A second BMC with a chassis of its own, which starts OFF."""
        raise NotImplementedError("give the bench `other_bmc`, or set two_bmcs=False")

    def wrong_password(self) -> BmcView:
        """The same BMC, with a distinctive password that is not good."""
        raise NotImplementedError("give the bench `wrong_password`, or set authenticates=False")

    def refuse_actions(self) -> None:
        """The BMC answers every power action with "no" from now on, and still tells its state."""
        raise NotImplementedError("give the bench `refuse_actions`, or set can_refuse=False")

    def ignore_actions(self) -> None:
        """The BMC accepts every power action from now on and carries out none."""
        raise NotImplementedError("give the bench `ignore_actions`, or set can_ignore_actions=False")

    def show_odd_state(self) -> None:
        """The BMC answers the next question about its state with something neither on nor off, or with nonsense."""
        raise NotImplementedError("give the bench `show_odd_state`, or set can_show_odd_state=False")

    def pause(self, seconds: float) -> None:
        """Let time pass while the suite waits for a chassis. A bench with its own clock moves that clock instead."""
        time.sleep(seconds)
