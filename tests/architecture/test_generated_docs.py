"""The reference pages say what the code says, and other pages name what is in them."""

import re
import subprocess
import sys
from pathlib import Path

from holdfast.adapter import contract
from holdfast.hooks.points import POINTS
from holdfast.model.states import HAEvent, HAState
from holdfast.settings import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def test_generated_pages_are_up_to_date(tmp_path: Path) -> None:
    """Written anew, they are the same, and none is missing. If not: sh contrib/dev/run docs."""
    program = ROOT / "contrib" / "dev" / "generate_docs.py"
    done = subprocess.run(
        [sys.executable, str(program), "--into", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    written = {path.name: path.read_text(encoding="utf-8") for path in sorted(tmp_path.iterdir())}
    assert len(written) >= 6
    stale = [name for name, text in written.items() if (REFERENCE / name).read_text(encoding="utf-8") != text]
    assert stale == []


def test_every_hook_is_mentioned() -> None:
    """Each method of each point has its own heading."""
    text = (REFERENCE / "hooks.md").read_text(encoding="utf-8")
    wanted = [f"### {point.name}.{method}\n" for point in POINTS.values() for method in contract(point.interface)]
    assert [heading for heading in wanted if heading not in text] == []


def test_every_setting_is_mentioned() -> None:
    """Each has a row of its own."""
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    assert [name for name in CATALOGUE if f"| `{name}` |" not in text] == []


def test_every_state_and_event_is_mentioned() -> None:
    """Also those that few hosts ever see."""
    text = (REFERENCE / "states.md").read_text(encoding="utf-8")
    assert [word for word in (*HAState, *HAEvent) if word not in text] == []


def test_links_between_pages_lead_somewhere() -> None:
    """A page that was renamed takes its links along."""
    broken = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for part in page.read_text(encoding="utf-8").split("](")[1:]:
            target = part.split(")")[0].split("#")[0]
            if target and not target.startswith(("http://", "https://")) and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_the_pages_name_tables_that_there_are() -> None:
    """In their examples, and in what they tell the operator to write."""
    known = {"mysqld", *re.findall(r"\[([a-z.]+)\]", (REFERENCE / "configuration.md").read_text(encoding="utf-8"))}
    for page in sorted((ROOT / "docs" / "how-to").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
        named = [*re.findall(r"`\[([a-z.]+)\]", text), *re.findall(r"(?m)^\[([a-z.]+)\]", "\n".join(examples))]
        # A table of a driver may hold further ones.
        assert [one for one in named if one not in known and one.rpartition(".")[0] not in known] == [], page.name
