"""Async jobs: ordered through the API, carried out by others, shown as every client reads them."""

import json

import pytest
from cs import CloudStack, CloudStackApiException
from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Insert, Query, Update
from holdfast.model import Account, AsyncJob, Event, JobStatus, Json, Secret, User, Zone
from holdfast_api.authentication import ApiRequest
from holdfast_api.call import JobRequest, new_uuid
from holdfast_api.dispatch import Dispatcher
from holdfast_api.fields import Field, ResponseObject
from holdfast_api.registry import Parameter, Registry, command

ZONE = ResponseObject(
    name="zone",
    fields=(Field("id", "string", "x"), Field("name", "string", "x")),
    build=lambda call, zones: [{"id": zone.uuid, "name": zone.name} for zone in zones],
    record=Zone,
)
POWER = ResponseObject(
    name="power",
    fields=(Field("zoneid", "string", "x"), Field("action", "string", "x")),
    build=lambda call, items: list(items),
    from_job=lambda call, result: {
        "zoneid": call.store.get(Zone, result["zoneid"]).uuid,
        "action": result["action"],
    },
)


@command(
    "paintZone",
    "Paints a zone.",
    kind="async",
    responds="zone",
    parameters=(
        Parameter("zoneid", "uuid", "the zone", required=True, of="zone"),
        Parameter("colour", "string", "the colour", required=True),
        Parameter("password", "string", "a secret", secret=True),
    ),
)
def paint_zone(call):
    """Refuses black."""
    if call.text("colour") == "black":
        raise InvalidRequest("parameter colour: 'black' is not accepted; every other colour is")
    zone = call.row("zoneid", Zone)
    told = call.event("ZONE.PAINT", "was ordered", resource=("Zone", zone.uuid), state="Scheduled")
    return JobRequest(instance=("Zone", zone.uuid), host_id=7, info={"coats": 2}, event=told)


@command("buildZone", "Builds a zone.", kind="create-async", responds="zone")
def build_zone(call):
    """The row comes first, then the job."""
    zone = Zone(uuid=new_uuid(), name="new")
    [number] = call.store.commit([Insert(zone)])
    return JobRequest(instance=("Zone", zone.uuid), created=zone.uuid, info={"zoneid": number})


@pytest.fixture
def zone(store):
    [number] = store.commit([Insert(Zone(uuid=new_uuid(), name="z1"))])
    return store.get(Zone, number)


@pytest.fixture
def dispatch(api):
    """Send a command to a dispatcher that knows our commands, as the administrator."""
    known = Registry.collect()
    registry = Registry(
        [*known.commands.values(), paint_zone, build_zone],
        [*(one for one in known.objects.values() if one.name not in ("success", "zone")), ZONE, POWER],
    )
    dispatcher = Dispatcher(registry, api.context)

    def sending(name, **parameters):
        sent = {"command": name, "response": "json", **parameters}
        answer = dispatcher.handle(ApiRequest("GET", sent, unsigned=True))
        [value] = json.loads(answer.body).values()
        return value

    return sending


def test_an_ordered_job_is_stored_with_database_ids_and_rung(dispatch, api, store, zone):
    """Everything that a management server needs, and no secret."""
    answer = dispatch("paintZone", zoneid=zone.uuid, colour="red", password="hush")
    [job] = store.select(AsyncJob, Query())
    assert answer == {"jobid": job.uuid}
    assert json.loads(job.job_cmd_info) == {"zoneid": zone.id, "colour": "red", "coats": 2}
    assert (job.job_cmd, job.host_id, job.instance_type, job.instance_uuid) == ("paintZone", 7, "Zone", zone.uuid)
    assert job.job_status == JobStatus.PENDING
    assert api.bell.rung == ["jobs"]
    [event] = store.select(Event, Query(equal={"type": "ZONE.PAINT"}))
    assert event.state == "Scheduled"


def test_what_can_be_refused_now_makes_no_job(dispatch, api, store, zone):
    """The error comes with the call, not with the job."""
    for wrong in ({"colour": "black"}, {}, {"colour": "red", "zoneid": "-1"}):
        assert dispatch("paintZone", **{"zoneid": zone.uuid, **wrong})["errorcode"] == 431
    assert store.count(AsyncJob, Query()) == 0
    assert api.bell.rung == []


def test_a_create_command_answers_with_the_new_id_too(dispatch, store):
    """{"id", "jobid"}."""
    answer = dispatch("buildZone")
    [job] = store.select(AsyncJob, Query())
    [zone] = store.select(Zone, Query())
    assert answer == {"id": zone.uuid, "jobid": job.uuid}
    assert json.loads(job.job_cmd_info) == {"zoneid": zone.id}


def finish(store, status, result, code=0):
    [job] = store.select(AsyncJob, Query())
    store.commit(
        [
            Update(
                AsyncJob,
                job.id,
                {
                    "job_status": status,
                    "job_result": Json(json.dumps(result)),
                    "job_result_code": code,
                    "completed": 5.0,
                },
            )
        ]
    )
    return job.uuid


@pytest.fixture
def ordered(dispatch, zone):
    """A pending job about `zone`."""
    return dispatch("paintZone", zoneid=zone.uuid, colour="red")["jobid"]


def test_a_pending_job_has_no_result(dispatch, ordered):
    """Numeric status 0 and the job's own data."""
    shown = dispatch("queryAsyncJobResult", jobid=ordered)
    assert shown["jobstatus"] == shown["jobresultcode"] == shown["jobprocstatus"] == 0
    assert shown["jobid"] == ordered
    assert shown["cmd"] == "PaintZoneCmd"
    assert "jobresult" not in shown
    assert "completed" not in shown


def test_a_finished_job_shows_its_object(dispatch, ordered, store, zone):
    """Under the object's name, built as every other answer."""
    finish(store, JobStatus.SUCCESS, {"object": "zone", "id": zone.id})
    shown = dispatch("queryAsyncJobResult", jobid=ordered)
    assert shown["jobstatus"] == 1
    assert shown["jobresulttype"] == "object"
    assert shown["jobresult"] == {"zone": {"id": zone.uuid, "name": "z1"}}
    assert shown["completed"] == "1970-01-01T00:00:05+0000"


def test_an_object_without_a_row_of_its_own_is_built_from_the_result(dispatch, ordered, store, zone):
    """Power actions and HA switches."""
    finish(store, JobStatus.SUCCESS, {"object": "power", "zoneid": zone.id, "action": "OFF"})
    shown = dispatch("queryAsyncJobResult", jobid=ordered)
    assert shown["jobresult"] == {"power": {"zoneid": zone.uuid, "action": "OFF"}}


@pytest.mark.parametrize(
    ("status", "result", "code", "expected"),
    [
        (1, {"success": True}, 0, {"success": True}),
        (1, {"success": True, "displaytext": "done"}, 0, {"success": True, "displaytext": "done"}),
        (1, {"object": "zone", "id": 999}, 0, {"success": True}),
        (1, {"object": "no such", "id": 1}, 0, {"success": True}),
        (2, {"errorcode": 533, "errortext": "no room"}, 533, {"errorcode": 533, "errortext": "no room"}),
        (2, {"errorcode": 533, "errortext": "no room"}, 0, {"errorcode": 533, "errortext": "no room"}),
    ],
)
def test_results_of_every_shape(dispatch, ordered, store, status, result, code, expected):
    """Success, an object that is gone, and failures with their code."""
    finish(store, status, result, code)
    shown = dispatch("queryAsyncJobResult", jobid=ordered)
    assert shown["jobresult"] == expected
    assert shown["jobresultcode"] == expected.get("errorcode", 0)


def test_a_cancelled_job_has_failed(dispatch, ordered, store):
    """cmk would wait for ever on a status it does not know."""
    finish(store, JobStatus.CANCELLED, {})
    shown = dispatch("queryAsyncJobResult", jobid=ordered)
    assert shown["jobstatus"] == 2
    assert shown["jobresultcode"] == shown["jobresult"]["errorcode"] == 530


def test_an_unknown_job_is_431(api):
    """A malformed id too."""
    assert api.refused("queryAsyncJobResult", jobid=new_uuid())[0] == 431
    assert api.refused("queryAsyncJobResult", jobid="-1")[0] == 431


def test_cs_reads_job_results(api, ordered, store):
    """cs polls, returns the result, and raises what failed. The server that answers is not the one that was asked."""
    client = api.client(poll_interval=0.01)
    finish(store, JobStatus.SUCCESS, {"success": True})
    assert client._jobresult(ordered) == {"success": True}
    finish(store, JobStatus.FAILURE, {"errorcode": 530, "errortext": "BMC did not answer"}, 530)
    with pytest.raises(CloudStackApiException) as caught:
        client._jobresult(ordered)
    assert caught.value.error["errortext"] == "BMC did not answer"


def test_jobs_are_listed_newest_first_by_state(api, ordered, store):
    """Cancelled ones among the failed."""
    assert api.admin("listAsyncJobs", jobstatus=0)["asyncjobs"][0]["jobid"] == ordered
    assert api.admin("listAsyncJobs", jobstatus=2) == {}
    finish(store, JobStatus.CANCELLED, {})
    assert api.admin("listAsyncJobs", jobstatus=2)["count"] == 1
    assert api.admin("listAsyncJobs", startdate="2000-01-01")["count"] == 1
    assert api.admin("listAsyncJobs", startdate="2200-01-01") == {}


@pytest.fixture
def plain(store, api):
    """A signed client of a plain user."""
    [account] = store.commit([Insert(Account(uuid=new_uuid(), account_name="plain", type=0))])
    store.commit(
        [
            Insert(
                User(
                    uuid=new_uuid(),
                    username="plain",
                    password="",
                    account_id=account,
                    api_key="K",
                    secret_key=Secret("S"),
                )
            )
        ]
    )
    return CloudStack(endpoint=api.url, key="K", secret="S")


def test_a_plain_user_sees_its_own_only(plain, ordered, store):
    """Other accounts' jobs, users and events are as if they were not there."""
    assert plain.listAsyncJobs() == {}
    assert [user["username"] for user in plain.listUsers()["user"]] == ["plain"]
    assert [account["name"] for account in plain.listAccounts()["account"]] == ["plain"]
    assert plain.listEvents() == {}
    [admin] = store.select(User, Query(equal={"username": "admin"}))
    for asked in (lambda: plain.queryAsyncJobResult(jobid=ordered), lambda: plain.registerUserKeys(id=admin.uuid)):
        with pytest.raises(CloudStackApiException) as caught:
            asked()
        assert caught.value.error["errorcode"] == 431


def test_a_plain_user_may_use_and_see_few_commands(plain):
    """An administrator's command is as unknown as one that does not exist."""
    names = {one["name"] for one in plain.listApis()["api"]}
    assert "listUsers" in names
    assert "updateConfiguration" not in names
    with pytest.raises(CloudStackApiException) as caught:
        plain.updateConfiguration(name="ha.tag", value="x")
    assert caught.value.error["errorcode"] == 432
