"""Async jobs, as the API sees them: stored when ordered, carried out by a management server, shown when asked for."""

import json
import logging
from typing import Any

from holdfast.hooks.store import Insert
from holdfast.model import AsyncJob, JobStatus, Json

from holdfast_api.call import Call, JobRequest, new_uuid
from holdfast_api.faults import INTERNAL
from holdfast_api.fields import Answer
from holdfast_api.inventory_change import change_inventory
from holdfast_api.parameters import job_info

logger = logging.getLogger(__name__)


def submit(call: Call, request: JobRequest) -> Answer:
    """Store the job, wake the managers, and answer with its uuid."""
    now = call.now()
    job = AsyncJob(
        uuid=new_uuid(),
        user_id=call.caller.user.id,
        account_id=call.caller.account.id,
        job_cmd=call.command.name,
        job_cmd_info=Json(json.dumps(job_info(call.parameters, request.info))),
        instance_type=request.instance[0],
        instance_uuid=request.instance[1],
        host_id=request.host_id,
        created=now,
        last_updated=now,
    )
    told = [Insert(request.event)] if request.event else []
    plan = request.plan
    if plan is None:
        call.store.commit([Insert(job), *told])
    else:
        change_inventory(call, lambda: [*plan(), Insert(job), *told])
    call.context.bell.ring("jobs")
    return {"id": request.created, "jobid": job.uuid} if request.created else {"jobid": job.uuid}


def result_of(call: Call, job: AsyncJob) -> Answer | None:
    """What `jobresult` shows: None while the job is pending."""
    if job.job_status == JobStatus.PENDING:
        return None
    stored = _document(job)
    if job.job_status != JobStatus.SUCCESS:
        text = str(stored.get("errortext") or "the job ended without a result; look at the events of its resource")
        return {"errorcode": code_of(job), "errortext": text}
    if "object" not in stored:
        return {"success": bool(stored.get("success", True)), "displaytext": stored.get("displaytext") or None}
    return _object(call, job, stored)


def code_of(job: AsyncJob) -> int:
    """`jobresultcode`: 0, or the error code of a failed job."""
    if job.job_status in (JobStatus.PENDING, JobStatus.SUCCESS):
        return 0
    code = job.job_result_code or _document(job).get("errorcode")
    return code if isinstance(code, int) and code else INTERNAL


def _object(call: Call, job: AsyncJob, stored: dict[str, Any]) -> Answer:
    name = str(stored["object"])
    shown = call.registry.objects.get(name)
    if shown is not None and shown.from_job is not None:
        return {name: shown.from_job(call, stored)}
    row = call.store.get(shown.record, int(stored["id"])) if shown and shown.record and "id" in stored else None
    if shown is None or row is None:
        # The work is done, and its object is gone since: nothing else is known to show.
        logger.warning("job %s: its result %s %s is not there any more", job.uuid, name, stored.get("id"))
        return {"success": True}
    [item] = shown.build(call, [row])
    return {name: item}


def _document(job: AsyncJob) -> dict[str, Any]:
    try:
        found = json.loads(job.job_result or "{}")
    except ValueError:
        logger.warning("job %s has a result that is no JSON", job.uuid)
        return {}
    return found if isinstance(found, dict) else {}
