"""What the job queries answer with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.hooks.store import Query
from holdfast.model import Account, AsyncJob, JobStatus, User

from holdfast_api.fields import Answer, Field, ResponseObject
from holdfast_api.jobs import code_of, result_of
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call

_FIELDS = (
    Field("jobid", "uuid", "the UUID of the job"),
    Field("accountid", "string", "the account that ordered it"),
    Field("userid", "string", "the user that ordered it"),
    Field("cmd", "string", "the command that was ordered"),
    Field("jobstatus", "integer", "0 pending, 1 succeeded, 2 failed"),
    Field("jobprocstatus", "integer", "progress"),
    Field("jobresultcode", "integer", "0, or the error code of a failed job"),
    Field("jobresulttype", "string", "kind of jobresult: object"),
    Field("jobresult", "map", "the result; missing while the job is pending"),
    Field("jobinstancetype", "string", "kind of thing it is about"),
    Field("jobinstanceid", "string", "the UUID of that thing"),
    Field("created", "date", "when it was ordered"),
    Field("completed", "date", "when it ended"),
)


def _build(call: "Call", jobs: Sequence[AsyncJob]) -> list[Answer]:
    users = call.store.select(User, Query(among={"id": tuple({job.user_id for job in jobs})})) if jobs else []
    accounts = call.store.select(Account, Query(among={"id": tuple({job.account_id for job in jobs})})) if jobs else []
    user_uuids = {user.id: user.uuid for user in users}
    account_uuids = {account.id: account.uuid for account in accounts}
    return [_one(call, job, user_uuids, account_uuids) for job in jobs]


def _one(call: "Call", job: AsyncJob, users: dict[int, str], accounts: dict[int, str]) -> Answer:
    result = result_of(call, job)
    # Clients know no fourth status: a cancelled job has failed.
    status = JobStatus.FAILURE if job.job_status == JobStatus.CANCELLED else job.job_status
    return {
        "jobid": job.uuid,
        "accountid": accounts.get(job.account_id),
        "userid": users.get(job.user_id),
        "cmd": f"{job.job_cmd[:1].upper()}{job.job_cmd[1:]}Cmd",
        "jobstatus": status,
        "jobprocstatus": job.job_process_status,
        "jobresultcode": code_of(job),
        "jobresulttype": "object" if result is not None else None,
        "jobresult": result,
        "jobinstancetype": job.instance_type or None,
        "jobinstanceid": job.instance_uuid or None,
        "created": moment_text(job.created),
        "completed": moment_text(job.completed),
    }


JOB = ResponseObject(name="asyncjobs", fields=_FIELDS, build=_build, record=AsyncJob)
"""One of a list."""

JOB_RESULT = ResponseObject(name="asyncjobresult", fields=_FIELDS, build=_build, record=AsyncJob, wrapped=False)
"""A single one, whose fields stand in the envelope itself."""
