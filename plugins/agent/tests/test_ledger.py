"""What a host remembers: property-tested against what must never be forgotten."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError, Refused
from holdfast.model.views import HostOrders, PoolView, VmSpec
from holdfast_agent.ledger import Ledger
from hypothesis import given, settings
from hypothesis import strategies as st


def spec(name: str) -> VmSpec:
    return VmSpec(name, name, f"i-{name}", 1, 1000, 512, ha=True)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["told", "stopping", "gone", "obey", "restart"]),
        st.sampled_from(["a", "b"]),
        st.integers(min_value=1, max_value=6),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_runs_that_were_ended_never_start_and_owners_never_go_back(steps: list[tuple[str, str, int]]) -> None:
    """Whatever happens in between, restarts included."""
    stopped: dict[str, int] = {}
    told: dict[str, int] = {}
    owner = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.json"
        ledger = Ledger(path)
        for what, vm, number in steps:
            if what == "restart":
                ledger = Ledger(path)
            elif what == "obey":
                if number < owner:
                    with pytest.raises(Refused):
                        ledger.obey(number)
                else:
                    ledger.obey(number)
                owner = max(owner, number)
            elif what == "told":
                if number <= stopped.get(vm, 0) or number < told.get(vm, 0):
                    with pytest.raises(Refused):
                        ledger.told(spec(vm), number)
                else:
                    ledger.told(spec(vm), number)
                    told[vm] = number
                    assert spec(vm) in ledger.running()
            elif what == "stopping":
                ledger.stopping(vm, number)
                stopped[vm] = max(number, stopped.get(vm, 0))
            else:
                before = ledger.running()
                ledger.gone(vm, number)
                if number < told.get(vm, 0):
                    assert ledger.running() == before, "a later run is not gone with an earlier one"
                else:
                    assert vm not in {one.uuid for one in ledger.running()}


def test_orders_are_kept(tmp_path: Path) -> None:
    """A host that restarts beats on its pools before any server tells it to."""
    orders = HostOrders((PoolView("p", "p", "NetworkFilesystem", "nfs"),), True, {"ha.storage.lease": "10"})
    Ledger(tmp_path / "ledger.json").remember_orders(orders)
    assert Ledger(tmp_path / "ledger.json").orders == orders


def test_what_cannot_be_remembered_is_not_begun(tmp_path: Path) -> None:
    """A disk that takes nothing: `Refused`, and the memory is what it was."""
    path = tmp_path / "ledger.json"
    ledger = Ledger(path)
    ledger.obey(3)
    (tmp_path / "ledger.json.new").mkdir()  # not even root can write a file there
    with pytest.raises(Refused, match="cannot be written"):
        ledger.told(spec("a"), 1)
    with pytest.raises(Refused):
        ledger.obey(4)
    assert ledger.running() == ()
    os.rmdir(tmp_path / "ledger.json.new")
    ledger.obey(3)
    assert json.loads(path.read_text())["owner_epoch"] == 3


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"owner_epoch": "x"}', '{"vms": {}}', '{"owner_epoch": 1, "vms": {"a": 1}}']
)
def test_a_damaged_ledger_stops_the_agent(tmp_path: Path, text: str) -> None:
    """Starting without it could run a VM twice: the operator has to look."""
    path = tmp_path / "ledger.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="no VM"):
        Ledger(path)


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    """It may name credentials of pools."""
    Ledger(tmp_path / "sub" / "ledger.json").obey(1)
    assert (tmp_path / "sub" / "ledger.json").stat().st_mode & 0o077 == 0
