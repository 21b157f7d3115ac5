"""Async jobs: queryAsyncJobResult and listAsyncJobs."""

from holdfast.errors import InvalidRequest
from holdfast.model import AsyncJob, JobStatus

from holdfast_api.call import Call, Listing
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command
from holdfast_api.times import just_before


@command(
    "queryAsyncJobResult",
    "Shows the state of a job, and its result once it has ended.",
    kind="sync",
    responds="asyncjobresult",
    access="user",
    changes=False,
    parameters=(Parameter("jobid", "uuid", "the UUID of the job", required=True, of="asyncjobs"),),
)
def query_async_job_result(call: Call) -> AsyncJob:
    """The job; another account's is as unknown as none."""
    job = call.row("jobid", AsyncJob)
    if not call.caller.is_admin and job.account_id != call.caller.account.id:
        raise InvalidRequest(f"parameter jobid: there is no job {job.uuid}")
    return job


@command(
    "listAsyncJobs",
    "Lists jobs, newest first.",
    kind="list",
    responds="asyncjobs",
    access="user",
    parameters=(
        Parameter("startdate", "date", "jobs ordered since then"),
        Parameter("jobstatus", "integer", "0 pending, 1 succeeded, 2 failed", low=0, high=2, since="0.1"),
    ),
)
def list_async_jobs(call: Call) -> Listing:
    """Plain users see their account's."""
    own = {} if call.caller.is_admin else {"account_id": call.caller.account.id}
    since = call.moment("startdate")
    status = call.parameters.get("jobstatus")
    failed = {"job_status": (JobStatus.FAILURE, JobStatus.CANCELLED)} if status == JobStatus.FAILURE else {}
    return select_page(
        call,
        AsyncJob,
        equal=own | ({} if failed else given(call, job_status="jobstatus")),
        among=failed,
        above={"created": just_before(since)} if since is not None else {},
        search=("job_cmd", "instance_uuid"),
        order=("-created", "-id"),
    )
