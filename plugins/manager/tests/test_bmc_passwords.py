"""Passwords of BMCs: whatever becomes of a change, the row ends up with the one that is in force."""

from collections.abc import Callable
from typing import Any

import pytest
from holdfast.errors import AuthenticationFailed, DeadlineExceeded, Refused, Unreachable
from holdfast.hooks.store import Query
from holdfast.model import AsyncJob, Oobm, Secret
from manager_bed import PASSWORD, Bed, BmcMode

NEW = Secret("new-pass-word")


def row(bed: Bed) -> Oobm:
    """The row of host 1."""
    return bed.store.select(Oobm, Query(equal={"host_id": 1}))[0]


def order(bed: Bed) -> AsyncJob:
    """Ask for a change as the API does, and wait for the job's end."""
    bed.machine("h1").bmc().accept_only(Secret(PASSWORD))
    bed.edit(Oobm, row(bed).id, new_password=NEW, update_count=row(bed).update_count + 1)
    return bed.outcome(bed.job("changeOutOfBandManagementPassword", 1, hostid=1))


def break_driver(bed: Bed, *, before: Exception | None = None, after: Exception | None = None) -> None:
    """Let set_password fail, before or after it has done its work."""
    for life in bed.lives.values():
        driver: Any = life.oobm
        real = driver.set_password

        def change(bmc: Any, password: str, deadline: float, real: Any = real) -> None:
            if before:
                raise before
            real(bmc, password, deadline)
            if after:
                raise after

        driver.set_password = change


def test_a_change_is_in_force_and_in_the_row(bed: Bed) -> None:
    """The old one is not kept anywhere."""
    assert order(bed).job_status == 1
    assert (row(bed).password, row(bed).new_password) == (NEW, None)


@pytest.mark.parametrize("error", [Refused("too simple"), Unreachable("gone"), DeadlineExceeded("late"), OSError("?")])
def test_a_change_that_was_not_made_leaves_the_old_one(bed: Bed, error: Exception) -> None:
    """And the job says so, with the driver's words, if they are of our kind."""
    break_driver(bed, before=error)
    job = order(bed)
    assert (job.job_status, job.job_result_code) == (2, 530)
    if not isinstance(error, OSError):
        assert f"was not changed: {error}" in job.job_result
        assert (row(bed).password, row(bed).new_password) == (Secret(PASSWORD), None)
    bed.run(60)
    assert (row(bed).password, row(bed).new_password, row(bed).power_state) == (Secret(PASSWORD), None, "On")


@pytest.mark.parametrize(
    "error", [Unreachable("the answer was lost"), AuthenticationFailed("the old one was tried again")]
)
def test_a_change_whose_answer_was_lost_is_found_out_at_once(bed: Bed, error: Exception) -> None:
    """The BMC lets the new one in: that is success, whatever the driver made of it."""
    break_driver(bed, after=error)
    assert order(bed).job_status == 1
    assert (row(bed).password, row(bed).new_password) == (NEW, None)


@pytest.mark.parametrize("changed", [True, False])
def test_what_cannot_be_found_out_now_is_found_out_later(
    bed: Bed, changed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The BMC goes dark in the middle of it; when it answers again, the one that it takes is kept."""
    bmc = bed.machine("h1").bmc()
    for life in bed.lives.values():

        def change(_bmc: Any, password: str, _deadline: float) -> None:
            if changed:
                bmc.accept_only(Secret(password))
            bmc.set_mode(BmcMode.DEAD)
            raise Unreachable("no answer")

        monkeypatch.setattr(life.oobm, "set_password", change)
    job = order(bed)
    assert job.job_status == 2
    assert "may have been changed; that is found out once the BMC answers: no answer" in job.job_result
    assert (row(bed).password, row(bed).new_password) == (Secret(PASSWORD), NEW)
    bed.run(30)
    bmc.set_mode(BmcMode.OK)
    bed.run(60)
    assert (row(bed).password, row(bed).new_password) == (NEW if changed else Secret(PASSWORD), None)
    bed.run(20)
    assert row(bed).power_state == "On"


def test_nobody_is_alarmed_by_a_change_that_takes_its_time(make_bed: Callable[..., Bed]) -> None:
    """The BMC has the new one already, and readings and looks that go on meanwhile have the old one."""
    bed = make_bed(
        settings={
            "outofbandmanagement.background.task.execution.interval": "0.5",
            "outofbandmanagement.readiness.interval": "60",
        }
    )
    for life in bed.lives.values():
        driver: Any = life.oobm
        real = driver.set_password

        def change(bmc: Any, password: str, deadline: float, real: Any = real) -> None:
            real(bmc, password, deadline)
            bed.site.time.sleep(20)

        driver.set_password = change
    assert order(bed).job_status == 1
    bed.run(40)
    assert bed.alerts("ALERT.OOBM.AUTHERROR") == bed.alerts("ALERT.OOBM.NOTREADY") == []
    assert (row(bed).power_state, row(bed).readiness, row(bed).password) == ("On", "Ready", NEW)


def test_refused_credentials_are_told_and_change_nothing(bed: Bed) -> None:
    """With their own text, and the alert."""
    bed.machine("h1").bmc().set_mode(BmcMode.AUTH)
    job = order(bed)
    assert "was not changed: the BMC refuses the credentials" in job.job_result
    assert len(bed.alerts("ALERT.OOBM.AUTHERROR")) == 1
    assert row(bed).new_password is None


def test_a_server_that_dies_at_any_step_leaves_the_password_in_force(make_bed: Callable[..., Bed]) -> None:
    """The job goes on with the next life, or finds that all was done."""
    for step in range(1, 200, 13):
        bed = make_bed(servers=1, hosts=1)
        bed.machine("h1").bmc().accept_only(Secret(PASSWORD))
        bed.edit(Oobm, row(bed).id, new_password=NEW, update_count=row(bed).update_count + 1)
        job = bed.job("changeOutOfBandManagementPassword", 1, hostid=1)
        bed.crash_at("ms1", step)
        assert bed.outcome(job).job_status == 1, step
        assert (row(bed).password, row(bed).new_password) == (NEW, None), step
        bed.run(30)
        assert row(bed).power_state == "On"
