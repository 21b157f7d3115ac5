"""`python -m holdfast_lab.guest FOLDER`: makes the guest's image there, and says where it is."""

import argparse
import sys
from pathlib import Path

from holdfast_lab.guest.image import guest_image
from holdfast_lab.problems import LabError


def main() -> int:
    """Exit status 1 if the image cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m holdfast_lab.guest", description="Make the lab's guest image.")
    parser.add_argument("folder", type=Path, help="where to keep it")
    try:
        print(guest_image(parser.parse_args().folder))
    except LabError as problem:
        print(f"guest: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
