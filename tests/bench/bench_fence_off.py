"""How long the fence of a host that is off already takes, and of one that is hung, behind real BMC emulators.

A server of its own, simulated hosts, and an `ipmi_sim` or `sushy-emulator` process for each: from the decision to fence
(the transition to Fencing) to the proof (Fenced), as stored.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "acceptance"))

from acceptance_site import Site, debian_program
from holdfast_cli.demo_bmcs import EmulatedBmcs
from holdfast_cli.demo_ipmi import IpmiBmcs
from holdfast_cli.demo_redfish import RedfishBmcs
from measuring import show, spread

KINDS: dict[str, Callable[[Path], EmulatedBmcs]] = {"ipmi": IpmiBmcs, "redfish": RedfishBmcs}


def one(kind: str, fault: str) -> float:
    """Seconds that the fence of one lost host took."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        folder = Path(name)
        with Site(folder, bmcs=KINDS[kind](folder / "bmcs")) as site:
            with redirect_stdout(io.StringIO()):  # the steps are told as they happen
                site.open()
                site.prepare()
            site.strike(fault)
            site.until("every VM runs once, elsewhere", site.run_elsewhere_once)
            story = site.client.call("explainHostHA", id=site.victim)["hosthaexplanation"]["story"]
    at = {move["hastate"]: float(move["at"]) for move in story}
    return at["Fenced"] - at["Fencing"]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=tuple(KINDS), action="append", dest="kinds", help="both if not given")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--full", action="store_true", help="five rounds")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    kinds = arguments.kinds or list(KINDS)
    if "ipmi" in kinds:
        debian_program("ipmi_sim", "openipmi")
    rounds = 5 if arguments.full else arguments.rounds
    rows = []
    for kind in kinds:
        for fault, words in (("power-loss", "off already"), ("hang", "hung, chassis on")):
            took = [one(kind, fault) for _ in range(rounds)]
            rows.append(
                {
                    "BMCs": kind,
                    "host": words,
                    "Fencing to Fenced, s": spread(took, 2),
                    "rounds": rounds,
                }
            )
    show("Fences behind BMC emulators", rows)


if __name__ == "__main__":
    main()
