"""The run book: what was stopped stays stopped, whatever ends in between."""

import json
from pathlib import Path

import pytest
from holdfast.errors import DriverError, Refused
from holdfast.model.states import GuestState
from holdfast_hypervisor_kvm.run_book import RunBook
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def opened(folder: Path) -> RunBook:
    book = RunBook(folder)
    book.open()
    return book


def test_what_was_stopped_is_refused_by_a_later_life(tmp_path: Path) -> None:
    """Also runs that this host was never told of."""
    opened(tmp_path).revoke("v", 4)
    book = opened(tmp_path)
    for epoch in (1, 4):
        with pytest.raises(Refused, match="was stopped here"):
            book.check_start("v", "vm", epoch)
    book.check_start("v", "vm", 5)


def test_an_older_run_than_the_newest_told_is_refused(tmp_path: Path) -> None:
    """Though nobody stopped it."""
    opened(tmp_path).begin("v", "vm", 3, "boot", 0.0)
    with pytest.raises(Refused, match="older than run 3"):
        opened(tmp_path).check_start("v", "vm", 2)


def test_a_run_begins_once(tmp_path: Path) -> None:
    """Unless its start failed for certain."""
    book = opened(tmp_path)
    book.begin("v", "vm", 1, "boot", 0.0)
    with pytest.raises(Refused, match="new run needs a new permit"):
        book.begin("v", "vm", 1, "boot", 0.0)
    book.never_began("v", 1)
    book.begin("v", "vm", 1, "boot", 0.0)


def test_a_run_that_was_stopped_while_it_started_is_not_let_go(tmp_path: Path) -> None:
    """The stop came between the making of the domain and its first instruction."""
    book = opened(tmp_path)
    book.begin("v", "vm", 1, "boot", 0.0)
    book.revoke("v", 1)
    with pytest.raises(Refused, match="stopped while it was starting"):
        book.let_go("v", 1)


def test_an_end_is_news_once_and_only_of_the_newest_run(tmp_path: Path) -> None:
    """A late word of an earlier run, or of one that was stopped by order, is none."""
    book = opened(tmp_path)
    book.begin("v", "vm", 1, "boot", 0.0)
    assert book.end("v", 1, GuestState.CRASHED, "why")
    assert not book.end("v", 1, GuestState.ABSENT, "")
    book.revoke("v", 1)
    book.begin("v", "vm", 2, "boot", 0.0)
    assert not book.end("v", 1, GuestState.CRASHED, "late")
    book.revoke("v", 2)
    assert not book.end("v", 2, GuestState.ABSENT, "")
    assert book.page("v").ended == ""


def test_an_arrival_is_refused_where_its_run_was_stopped(tmp_path: Path) -> None:
    """Live migration brings runs, and may bring them late."""
    book = opened(tmp_path)
    book.revoke("v", 2)
    assert not book.arrived("v", "vm", 2, "boot", 0.0)
    assert book.arrived("v", "vm", 3, "boot", 0.0)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"form": 2, "told": 1}', '{"form": 1, "told": "x"}', '{"form": 1, "y": 1}']
)
def test_a_page_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path, text: str) -> None:
    """Nothing of its VM is allowed until somebody has looked; other VMs are not touched by it."""
    (tmp_path / "bad.json").write_text(text)
    book = opened(tmp_path)
    for call in (
        lambda: book.check_start("bad", "vm", 9),
        lambda: book.begin("bad", "vm", 9, "boot", 0.0),
        lambda: book.revoke("bad", 9),
    ):
        with pytest.raises(DriverError, match=r"bad\.json cannot be read"):
            call()
    assert (tmp_path / "bad.json").read_text() == text
    book.begin("good", "vm", 1, "boot", 0.0)


def test_a_draft_that_a_crash_left_is_ignored(tmp_path: Path) -> None:
    """Only what was renamed into place counts."""
    opened(tmp_path).revoke("v", 2)
    (tmp_path / "v.new").write_text('{"form": 1, "told": 9')
    assert opened(tmp_path).page("v").revoked == 2


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    """Not at the first start."""
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DriverError, match="cannot be kept"):
        opened(file / "runs")


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "let_go", "revoke", "end", "never_began", "arrived", "life"]), st.integers(1, 4)
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(orders=ORDERS)
def test_a_stopped_run_is_never_let_go_again(
    tmp_path_factory: pytest.TempPathFactory, orders: list[tuple[str, int]]
) -> None:
    """In any order of orders and of deaths of the agent, and what is on the disk is what is known."""
    folder = tmp_path_factory.mktemp("book")
    book, stopped, newest = opened(folder), 0, 0
    for what, epoch in orders:
        if what == "life":
            book = opened(folder)
        elif what in ("begin", "let_go"):
            try:
                if what == "begin":
                    book.begin("v", "vm", epoch, "b", 0.0)
                else:
                    book.let_go("v", epoch)
            except Refused:
                continue
            assert epoch > stopped
            assert epoch >= newest
            newest = max(newest, epoch)
        elif what == "revoke":
            book.revoke("v", epoch)
            stopped, newest = max(stopped, epoch), max(newest, epoch)
        elif what == "end":
            book.end("v", epoch, GuestState.CRASHED, "")
        elif what == "arrived":
            stays = book.arrived("v", "vm", epoch, "b", 0.0)
            assert stays == (epoch > stopped)
            newest = max(newest, epoch)
        else:
            book.never_began("v", epoch)
        page = json.loads((folder / "v.json").read_text()) if (folder / "v.json").exists() else {"revoked": -1}
        assert max(page["revoked"], 0) == stopped
        assert opened(folder).page("v") == book.page("v")
