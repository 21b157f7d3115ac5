"""Lets the test modules of this folder import the bed that they share (`engine_bed`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
