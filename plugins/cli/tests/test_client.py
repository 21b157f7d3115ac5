"""The client unwraps answers, waits for jobs, and turns refusals into errors."""

from typing import Any

import pytest
from holdfast.model import Secret
from holdfast_cli.client import ApiError, ApiUnreachable, Client, Keys, keys_by_login
from holdfast_cli.server_process import free_port


def _client(api: Any) -> Client:
    return Client(api.endpoint, Keys("the-key", Secret("the-secret")))


def test_a_call_gives_what_its_envelope_holds(api: Any) -> None:
    """The one top-level key is taken away, and the call is signed."""
    api.says("listZones", {"count": 1, "zone": [{"id": "z"}]})

    assert _client(api).items("listZones", available=True) == [{"id": "z"}]
    assert api.asked[0]["available"] == "true"
    assert api.asked[0]["apiKey"] == "the-key"
    assert api.asked[0]["signature"]


def test_parameters_stay_out_of_the_url(api: Any) -> None:
    """URLs end up in logs; the form does not."""
    api.says("listZones", {})
    _client(api).call("listZones", name="zone1")

    assert api.lines == ["/client/api"]


def test_an_empty_list_has_no_items(api: Any) -> None:
    """The API answers {} for it."""
    api.says("listZones", {})

    assert _client(api).items("listZones") == []


def test_a_refusal_is_an_error_with_its_code(api: Any) -> None:
    """HTTP status and envelope say the same; the text is the API's."""
    api.says("createZone", {"errorcode": 431, "errortext": "parameter name is missing"}, status=431)

    with pytest.raises(ApiError, match="parameter name is missing") as caught:
        _client(api).call("createZone")
    assert caught.value.code == 431


def test_a_job_is_awaited_until_it_ends(api: Any) -> None:
    """Its result is what `run` gives, and progress is told while it is pending."""
    api.says("startVirtualMachine", {"jobid": "j"})
    api.says("queryAsyncJobResult", {"jobstatus": 0})
    api.says("queryAsyncJobResult", {"jobstatus": 1, "jobresult": {"virtualmachine": {"state": "Running"}}})
    told: list[float] = []

    found = _client(api).run("startVirtualMachine", told.append, id="v")

    assert found == {"virtualmachine": {"state": "Running"}}
    assert len(told) == 1


def test_a_failed_job_is_an_error(api: Any) -> None:
    """With the job's own code and text."""
    api.says("startVirtualMachine", {"jobid": "j"})
    api.says(
        "queryAsyncJobResult",
        {"jobstatus": 2, "jobresultcode": 533, "jobresult": {"errorcode": 533, "errortext": "no room"}},
    )

    with pytest.raises(ApiError, match="no room") as caught:
        _client(api).run("startVirtualMachine", id="v")
    assert caught.value.code == 533


def test_a_job_that_does_not_end_is_given_up(api: Any) -> None:
    """The error says that it goes on."""
    api.says("queryAsyncJobResult", {"jobstatus": 0})

    with pytest.raises(ApiUnreachable, match="goes on"):
        _client(api).wait("j", limit=0.0)


def test_nobody_there_is_told_with_the_address() -> None:
    """A refused connection is no traceback."""
    endpoint = f"http://127.0.0.1:{free_port()}/client/api"

    with pytest.raises(ApiUnreachable, match=endpoint):
        Client(endpoint).call("listZones")


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (502, b"Bad Gateway"), (200, b"[]"), (302, b"")])
def test_what_is_no_api_is_told_so(api: Any, status: int, body: bytes) -> None:
    """A web server that happens to listen there, a balancer without servers, a redirect."""
    api.answers["listZones"] = [(status, body)]

    with pytest.raises(ApiUnreachable, match="/client/api"):
        _client(api).call("listZones")


def test_keys_are_made_by_login(api: Any) -> None:
    """Login, registerUserKeys, logout, in this order; the session key goes with the later two."""
    api.says("login", {"userid": "u", "sessionkey": "s"})
    api.says("registerUserKeys", {"userkeys": {"apikey": "a", "secretkey": "b"}})
    api.says("logout", {"description": "success"})

    keys = keys_by_login(api.endpoint, "admin", Secret("p"))

    assert keys == Keys("a", Secret("b"))
    assert [asked["command"] for asked in api.asked] == ["login", "registerUserKeys", "logout"]
    assert all(asked["sessionkey"] == "s" for asked in api.asked[1:])
    assert "b" not in repr(keys)
