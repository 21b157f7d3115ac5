"""What came of a fence drill."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from holdfast.model import Host

from holdfast_api.fields import Answer, Field, ResponseObject, as_given

if TYPE_CHECKING:
    from holdfast_api.call import Call


def _from_job(call: "Call", result: Mapping[str, Any]) -> Answer:
    host = call.store.get(Host, int(result["hostid"]))
    return {
        "hostid": host.uuid if host else None,
        "hostname": host.name if host else None,
        "description": result.get("description"),
        "stages": result.get("stages", []),
        "status": True,
    }


FENCE_DRILL = ResponseObject(
    name="fencedrill",
    fields=(
        Field("hostid", "string", "the UUID of the host"),
        Field("hostname", "string", "name of the host"),
        Field("description", "string", "the stages in words"),
        Field("status", "boolean", "whether it passed"),
        Field(
            "stages",
            "list",
            "what was reached, in order",
            (
                Field("level", "integer", "the fence level that was tried"),
                Field("stage", "string", "OFF accepted, OFF proven, agent silent, ON accepted, ON proven, agent back"),
                Field("seconds", "float", "seconds after OFF was sent to that level"),
            ),
        ),
    ),
    build=as_given,
    from_job=_from_job,
)
