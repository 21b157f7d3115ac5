"""What the benchmarks of whole processes have in common: CPU and memory of this process, medians and spreads."""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def cpu_seconds() -> float:
    """CPU time of all threads of this process, user and system."""
    return time.process_time()


def resident_mib() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def peak_mib() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def spread(values: Iterable[float], digits: int = 3) -> str:
    """Median, lowest and highest."""
    found = sorted(values)
    if not found:
        return "-"
    return f"{statistics.median(found):.{digits}f} ({found[0]:.{digits}f}..{found[-1]:.{digits}f})"


def options(description: str | None, repeat: int) -> argparse.Namespace:
    """What the command line says: `repeat` unless it is given, `full` and `json`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=repeat)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A table with one row per figure set, or JSON with --json."""
    if "--json" in sys.argv[1:]:
        print(json.dumps({title: rows}, indent=2))
        return
    print(f"\n{title}")
    for row in rows:
        width = max(len(key) for key in row)
        for key, value in row.items():
            print(f"  {key.ljust(width)}  {value}")
        print()
