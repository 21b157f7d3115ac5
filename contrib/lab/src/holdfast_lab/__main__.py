"""`python -m holdfast_lab WORD`: what `sh contrib/dev/run lab WORD` calls."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from holdfast.errors import HoldfastError

from holdfast_lab import addresses, breaking, capsule, network, packages, scenario, status
from holdfast_lab.assembly import assemble
from holdfast_lab.commands import environment
from holdfast_lab.faults import FAULTS
from holdfast_lab.guest.image import guest_image
from holdfast_lab.installation import install
from holdfast_lab.layout import Lab, default_folder
from holdfast_lab.options import BMCS, DATABASES, STORAGES, Options
from holdfast_lab.problems import LabError
from holdfast_lab.site import Site
from holdfast_lab.token_watch import TokenWatch

_INSIDE = "HOLDFAST_LAB_INSIDE"


def main(arguments: list[str] | None = None) -> int:
    """0 if what was asked is done and holds; 1 if not; 2 for words that make no sense."""
    given = sys.argv[1:] if arguments is None else arguments
    asked = _parser().parse_args(given)
    folder = (asked.folder or default_folder()).absolute()
    try:
        return int(asked.work(asked, folder, given))
    except HoldfastError as problem:
        print(f"lab: {problem}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the lab keeps its things; each folder is a lab of its own")
    words = parser.add_subparsers(dest="word", required=True)
    up = words.add_parser("up", help="make the lab and start everything in it")
    up.add_argument("--hosts", type=int, default=3)
    up.add_argument("--storage", choices=STORAGES, default=STORAGES[0])
    up.add_argument("--oobm", choices=BMCS, default=BMCS[0])
    up.add_argument("--db", choices=DATABASES, default=DATABASES[0])
    up.add_argument("--no-watchdog", action="store_true", help="hosts without a watchdog")
    up.add_argument("--raw", action="store_true", help="the parts alone, without Holdfast")
    up.add_argument("--image", type=Path, help=argparse.SUPPRESS)  # what `up` hands on to itself inside
    up.set_defaults(work=_up)
    down = words.add_parser("down", help="end everything in the lab; only its logs stay")
    down.set_defaults(work=_down)
    running = words.add_parser("status", help="what runs in the lab, and what Holdfast says of it")
    running.set_defaults(work=_status)
    play = words.add_parser("scenario", help="the eight steps of the guide, with real guests")
    play.set_defaults(work=_scenario)
    kinds = "\n".join(f"  {fault.name:24}{fault.summary}" for fault in FAULTS.values())
    fault = words.add_parser(
        "fault", help="break something, and see what becomes of the VMs", epilog=f"kinds:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    fault.add_argument("kind", choices=tuple(FAULTS), metavar="KIND")
    fault.add_argument("--repeat", type=int, default=1, metavar="N", help="so often, with the median of each stage")
    fault.add_argument("--json", type=Path, metavar="FILE", help="write the stages of every repetition there")
    fault.set_defaults(work=_fault)
    power = words.add_parser("power", help="switch a host's chassis by hand")
    power.add_argument("host")
    power.add_argument("action", choices=("on", "off"))
    power.set_defaults(work=_power)
    enter = words.add_parser(
        "enter", help="run a program on a host, or in the namespace `server`, `storage`, `database`"
    )
    enter.add_argument("place")
    enter.add_argument("program", nargs=argparse.REMAINDER, help="the program and its words; a shell if there are none")
    enter.set_defaults(work=_enter)
    return parser


def _up(asked: argparse.Namespace, folder: Path, given: list[str]) -> int:
    options = Options(asked.hosts, asked.storage, asked.oobm, asked.db, not asked.no_watchdog)
    if os.environ.get(_INSIDE):
        lab = Lab(folder, options)
        assemble(lab, _say)
        if not asked.raw:
            install(lab, asked.image, _say)
        return 0
    if os.geteuid() != 0:
        raise LabError("the lab makes namespaces and bridges: run it as root")
    if capsule.find(folder):
        raise LabError(f"the lab in {folder} is up already; see: lab status; end it with: lab down")
    packages.provide(options)
    image = [] if asked.raw else ["--image", str(guest_image(_images()))]
    _clear(folder)
    (folder / "logs").mkdir(parents=True)
    options.save(folder)
    capsule.make(folder)
    ended = _inside(folder, given + image)
    if ended != 0:
        capsule.destroy(folder)
        print(f"lab: the lab was not made, and nothing of it runs; its logs are in {folder}/logs", file=sys.stderr)
    return ended


def _down(_asked: argparse.Namespace, folder: Path, _given: list[str]) -> int:
    was = capsule.destroy(folder)
    for entry in folder.glob("*"):
        if entry.name != "logs":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    print(f"lab: {'down' if was else 'it was not up'}; logs are in {folder}/logs", flush=True)
    return 0


def _status(_asked: argparse.Namespace, folder: Path, given: list[str]) -> int:
    options = Options.load(folder)
    if not os.environ.get(_INSIDE):
        return _inside(folder, given)
    status.tell(Lab(folder, options))
    return 0


def _power(asked: argparse.Namespace, folder: Path, given: list[str]) -> int:
    options = Options.load(folder)
    if not os.environ.get(_INSIDE):
        return _inside(folder, given)
    host = Lab(folder, options).host(asked.host)
    host.power_on() if asked.action == "on" else host.cut_power()
    return 0


def _enter(asked: argparse.Namespace, folder: Path, given: list[str]) -> int:
    options = Options.load(folder)
    if not os.environ.get(_INSIDE):
        return _inside(folder, given)
    program = asked.program[1:] if asked.program[:1] == ["--"] else asked.program
    words = program or ["sh", "-i"]
    place = asked.place
    line = network.inside(place, *words)
    if place in options.names:
        line = Lab(folder, options).host(place).enter_words(*words)
    elif place not in addresses.PLACES:
        raise LabError(f"{place}: there is {', '.join((*options.names, *addresses.PLACES))}")
    return subprocess.run(line, env=environment(), check=False).returncode


def _scenario(_asked: argparse.Namespace, folder: Path, given: list[str]) -> int:
    options = Options.load(folder)
    if not os.environ.get(_INSIDE):
        return _inside(folder, given)
    lab = Lab(folder, options)
    with TokenWatch(lab.storage.disks) as watch:
        return 0 if scenario.play(Site.of(lab, watch, _say)) else 1


def _fault(asked: argparse.Namespace, folder: Path, given: list[str]) -> int:
    options = Options.load(folder)
    if not os.environ.get(_INSIDE):
        return _inside(folder, given)
    return breaking.play(Lab(folder, options), FAULTS[asked.kind], asked.repeat, asked.json, _say)


def _say(text: str) -> None:
    print(f"lab: {text}", flush=True)


def _images() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "holdfast-lab"


def _inside(folder: Path, given: list[str]) -> int:
    """Run the same words inside the lab; their status."""
    pid = capsule.find(folder)
    if not pid:
        raise LabError(f"the lab in {folder} is not up; make it with: sh contrib/dev/run lab up")
    words = [*capsule.enter_words(pid), sys.executable, "-m", "holdfast_lab", *given]
    return subprocess.run(words, env=environment({_INSIDE: "1", "HOLDFAST_LAB": str(folder)}), check=False).returncode


def _clear(folder: Path) -> None:
    for entry in folder.glob("*"):
        if entry.name not in ("logs", "options.json", "hosts", "storage", "database", "server"):
            raise LabError(f"{folder} is not empty, and {entry.name} is none of a lab's: name another --folder")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
