"""A host's BMC: what it answers, what it does, and the ways in which it fails."""

from collections.abc import Callable
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from holdfast.errors import AuthenticationFailed, Refused, Unreachable
from holdfast.model import PowerAction, PowerState, Secret
from holdfast.model.readiness import Readiness

from holdfast_simulator.world.happenings import What

if TYPE_CHECKING:
    from holdfast_simulator.world.host import SimHost

Reply = Callable[[Any], object]

_FLAP_PERIOD = 3.7
_GLITCH = 0.1


class BmcMode(StrEnum):
    """How a BMC behaves. Each mode is a failure seen on real ones, but for `ok`."""

    OK = "ok"
    DEAD = "dead"
    SLOW = "slow"
    LYING = "lying"
    FLAPPING = "flapping"
    REFUSING = "refusing"
    AUTH = "auth"


class Bmc:
    """One BMC. `slowness` is how many times longer everything takes in mode `slow`.

    `lying` accepts an OFF and leaves the chassis on. `flapping` answers, is silent, and says nonsense by turns; once in
    each turn it says OFF for a tenth of a second, as some firmware does while it restarts: too short for two readings.
    `refusing` says no to actions alone. The next `odd_answers` readings are neither on nor off.
    """

    def __init__(self, host: "SimHost", level: str) -> None:
        self.host = host
        self.level = level
        self.mode = BmcMode.OK
        self.slowness = 20.0
        self.odd_answers = 0
        self._password_digest = ""
        self._pending: list[tuple[float, PowerAction]] = []

    def set_mode(self, mode: BmcMode) -> None:
        """Behave like this from now on."""
        self.mode = mode
        self.host.save()
        self.host.world.tell(What.FAULT, host=self.host.uuid, detail=f"BMC {self.level} {mode.value}")

    def _after(self, seconds: float, callback: Callable[..., object], *args: Any) -> None:
        time = self.host.world.time
        factor = self.slowness if self.mode is BmcMode.SLOW else 1.0
        time.call_at(time.now() + seconds * factor, callback, *args)

    @property
    def _has_power(self) -> bool:
        return self.host.fed

    def _trouble(self, password: Secret) -> Exception | None:
        digest = self._password_digest
        wrong = digest and digest != _digest(password)
        if self.mode is BmcMode.AUTH or wrong:
            return AuthenticationFailed(f"BMC of {self.host.name}: user name or password is not good")
        return None

    # --- requests, as they arrive

    def status(self, reply: Reply, password: Secret) -> None:
        """Answer a power reading, after its time; the chassis is looked at when the answer leaves."""
        if self._has_power and self.mode is not BmcMode.DEAD:
            self._after(self.host.world.physics.bmc_status, self._answer_status, reply, password)

    def _answer_status(self, reply: Reply, password: Secret) -> None:
        if self.mode is BmcMode.FLAPPING:
            self._answer_flapping(reply)
        elif self._has_power and self.mode is not BmcMode.DEAD:
            reply(self._trouble(password) or self._chassis())

    def examine(self, reply: Reply, password: Secret) -> None:
        """Answer whether an OFF would be let through, as far as the BMC knows."""
        if self.mode is not BmcMode.DEAD:
            self._after(self.host.world.physics.bmc_status, self._answer_examination, reply, password)

    def _answer_examination(self, reply: Reply, password: Secret) -> None:
        def told(state: object) -> None:
            name = f"BMC of {self.host.name}"
            if isinstance(state, Exception):
                reply(state)
            elif state not in (PowerState.ON, PowerState.OFF):
                reply(Readiness(problems=(f"{name} tells no plain power state",)))
            elif self.mode is BmcMode.REFUSING:
                reply(Readiness(problems=(f"{name}: its user may not switch power; raise the privilege",)))
            else:
                reply(Readiness())

        self._answer_status(told, password)

    def _chassis(self) -> PowerState:
        if self.odd_answers > 0:
            self.odd_answers -= 1
            return PowerState.UNKNOWN
        return PowerState.ON if self.host.powered else PowerState.OFF

    def _answer_flapping(self, reply: Reply) -> None:
        phase = self.host.world.time.now() % _FLAP_PERIOD
        if phase < _GLITCH:
            reply(PowerState.OFF)
        elif phase < _FLAP_PERIOD / 3:
            reply(self._chassis())
        elif phase < _FLAP_PERIOD / 2:
            reply(PowerState.UNKNOWN)
        elif phase < _FLAP_PERIOD * 3 / 4:
            reply(Unreachable(f"BMC of {self.host.name}: connection reset"))

    def order(self, reply: Reply, server: str, action: PowerAction, password: Secret) -> None:
        """Take a power action: answer at once that it is accepted, carry it out after its time."""
        if self.mode is BmcMode.DEAD or not self._has_power:
            return
        self.host.world.tell(What.POWER_ORDERED, host=self.host.uuid, server=server, detail=action.value)
        trouble = self._trouble(password)
        if self.mode is BmcMode.REFUSING:
            trouble = Refused(f"BMC of {self.host.name}: insufficient privilege")
        if self.mode is BmcMode.FLAPPING and self.host.world.time.now() % _FLAP_PERIOD > _FLAP_PERIOD / 2:
            trouble = Unreachable(f"BMC of {self.host.name}: connection reset")
        if trouble is not None:
            reply(trouble)
            return
        if self.mode is not BmcMode.LYING:
            self.carry_out_later(action)
        self._after(self.host.world.physics.bmc_status, reply, f"Chassis Power Control: {action.value}")

    def change_password(self, reply: Reply, password: Secret, new_password: Secret) -> None:
        """Change the password it accepts."""
        if self.mode is BmcMode.DEAD or not self._has_power:
            return
        trouble = self._trouble(password)
        if trouble is None:
            self.accept_only(new_password)
        self._after(self.host.world.physics.bmc_status, reply, trouble)

    def accept_only(self, password: Secret) -> None:
        """Know a password; any is good until then. Only its digest is kept."""
        self._password_digest = _digest(password)
        self.host.save()

    # --- carrying out

    def carry_out_later(self, action: PowerAction) -> None:
        """Have the chassis do it after its time, whatever the mode; other BMCs that sit on it end here too.

        Switching takes unequal times, but no order overtakes another: what was ordered last is what is so in the end.
        Only SOFT waits for nobody and holds up nobody: it asks the operating system.
        """
        physics = self.host.world.physics
        seconds = {
            PowerAction.ON: physics.bmc_on,
            PowerAction.OFF: physics.bmc_off,
            PowerAction.CYCLE: physics.bmc_off,
            PowerAction.RESET: physics.bmc_reset,
            PowerAction.SOFT: physics.guest_os_shutdown,
        }.get(action)
        if seconds is not None:
            self._later(self._in_turn(seconds * (self.slowness if self.mode is BmcMode.SLOW else 1.0), action), action)

    def _in_turn(self, seconds: float, action: PowerAction) -> float:
        """The time of an order, lengthened until those before it are through; a repeated one may pass itself."""
        if action is PowerAction.SOFT:
            return seconds
        now, gap = self.host.world.time.wall(), self.host.world.physics.bmc_status
        before = [due - now + gap for due, other in self._pending if other not in (action, PowerAction.SOFT)]
        return max([seconds, *before])

    def _on_again(self) -> None:
        """The second half of a cycle; an OFF that was ordered since its beginning has the last word."""
        if all(action is not PowerAction.OFF for _, action in self._pending):
            self._later(self.host.world.physics.bmc_on, PowerAction.ON)

    def _later(self, seconds: float, action: PowerAction) -> None:
        time = self.host.world.time
        entry = (time.wall() + seconds, action)
        self._pending.append(entry)
        self.host.save()
        time.call_at(time.now() + seconds, self._carry_out, entry)

    def _carry_out(self, entry: tuple[float, PowerAction]) -> None:
        if entry not in self._pending:
            return
        self._pending.remove(entry)
        host, action = self.host, entry[1]
        if action is PowerAction.ON:
            host.power_on("BMC")
        elif action is PowerAction.RESET:
            host.reset("BMC")
        elif action is PowerAction.CYCLE:
            host.power_off("BMC")
            self._on_again()
        elif action is PowerAction.OFF or host.condition == "up":
            host.power_off("BMC" if action is PowerAction.OFF else "shut down")
        host.save()

    def forget_orders(self) -> None:
        """Drop what was accepted and is not carried out yet, as a press of the button does."""
        self._pending.clear()
        self.host.save()

    # --- journal

    def dump(self) -> dict[str, Any]:
        """Mode, password digest and what is still to be carried out, with the dates at which it falls due."""
        return {
            "mode": self.mode.value,
            "password": self._password_digest,
            "pending": [[due, action.value] for due, action in self._pending],
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `dump` gave; what is overdue happens at once, in its order."""
        self.mode = BmcMode(data["mode"])
        self._password_digest = data["password"]
        time = self.host.world.time
        for due, action in sorted(data["pending"]):
            entry = (float(due), PowerAction(action))
            self._pending.append(entry)
            time.call_at(time.now() + max(0.0, entry[0] - time.wall()), self._carry_out, entry)


def _digest(password: Secret) -> str:
    return sha256(password.reveal().encode()).hexdigest()
