"""Envelopes, formats, methods, limits: what a request may look like and how every answer looks."""

import xml.etree.ElementTree as ElementTree

import pytest
from holdfast.errors import OutcomeUnknown, StoreUnavailable
from holdfast.hooks.store import Insert
from holdfast.model import Event

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_an_answer_is_one_line_of_json_under_one_key(api, ask):
    """Marvin reads listApis as one line; cs wants exactly one top-level key."""
    answer = ask(api.integration_url, "command=listApis&response=json")
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert b"\n" not in answer.body
    assert list(answer.json) == ["listapisresponse"]


def test_xml_is_the_default_and_repeats_list_elements(api, ask):
    """Without `response` the answer is XML with CloudStack's attribute on the root."""
    answer = ask(api.integration_url, "command=listHypervisors")
    root = ElementTree.fromstring(answer.body)
    assert answer.headers["Content-Type"] == "text/xml; charset=UTF-8"
    assert root.tag == "listhypervisorsresponse"
    assert root.attrib == {"cloud-stack-version": "4.22.0.0"}
    assert [child.tag for child in root] == ["count", "hypervisor", "hypervisor"]
    assert [name.text for name in root.iter("name")] == ["KVM", "Simulator"]


def test_xml_carries_any_text_well_formed(api, ask, store):
    """Markup, quotes, control characters and names that are no XML names do not break the document."""
    evidence = '[{"no name": "<&>\\u0000\\"", "ok": "한국어"}]'
    store.commit([Insert(Event(uuid="8ed2f0b5-53b0-4c2f-8b1b-111111111111", type="X", description="<b>&\x01'\"</b>",
                               evidence=evidence))])  # fmt: skip
    root = ElementTree.fromstring(ask(api.integration_url, "command=listEvents&type=X").body)
    assert root.findtext("event/description") == "<b>&\ufffd'\"</b>"
    assert root.findtext("event/evidence/ok") == "한국어"
    assert root.find("event/evidence/entry").attrib == {"name": "no name"}


def test_an_empty_list_is_an_empty_object(api, ask):
    """Clients rely on {} with neither count nor array."""
    assert ask(api.integration_url, {"command": "listAlerts"}).json == {"listalertsresponse": {}}


def test_an_error_has_the_code_as_status_and_the_text_as_header(api, ask):
    """The envelope of a known command's error is the command's own."""
    answer = ask(api.integration_url, {"command": "getUserKeys"})
    assert answer.status == 431
    assert list(answer.json) == ["getuserkeysresponse"]
    error = answer.json["getuserkeysresponse"]
    assert error["errorcode"] == 431
    assert error["cserrorcode"] == 4350
    assert error["uuidList"] == []
    assert "required parameter id is missing" in error["errortext"]
    assert answer.headers["X-Description"] == error["errortext"]


def test_an_error_is_xml_where_xml_was_asked_for(api, ask):
    """The same four fields."""
    root = ElementTree.fromstring(ask(api.integration_url, "command=getUserKeys").body)
    assert root.tag == "getuserkeysresponse"
    assert root.findtext("errorcode") == "431"


def test_a_header_never_breaks_over_lines(api, ask):
    """Text that a caller sends comes back in X-Description without its line ends or letters outside ASCII."""
    answer = ask(api.integration_url, {"command": "x\r\nSet-Cookie: a=b\u2028한"})
    assert answer.status == 432
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["X-Description"].isascii()


def test_a_form_body_is_as_good_as_a_query(api, ask):
    """And a query parameter wins over one of the same name in the body."""
    answer = ask(api.integration_url, method="POST", body=b"command=listDomains&response=json", headers=FORM)
    assert answer.json["listdomainsresponse"]["count"] == 1
    both = ask(
        api.integration_url, "command=listDomains", method="POST", body=b"command=no&response=json", headers=FORM
    )
    assert both.status == 200


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json", "text/plain"])
def test_another_kind_of_body_is_refused_clearly(api, ask, kind):
    """Only forms are read."""
    answer = ask(api.integration_url, {}, method="POST", body=b"command=listDomains", headers={"Content-Type": kind})
    assert answer.status == 400
    assert "application/x-www-form-urlencoded" in answer.json["errorresponse"]["errortext"]


def test_an_oversize_body_is_refused_in_an_envelope(start, store, ask):
    """413, whether the length is announced or the body just goes on."""
    api = start(store, max_body=2000)
    for headers in (FORM, FORM | {"Transfer-Encoding": "chunked"}):
        body = b"command=listDomains&x=" + b"y" * 3000
        answer = ask(api.integration_url, {}, method="POST", body=body, headers=headers)
        assert answer.status == 413
        assert "2000 bytes" in answer.json["errorresponse"]["errortext"]


def test_a_request_with_too_many_parameters_is_refused(api, ask):
    """400 in an envelope."""
    answer = ask(api.integration_url, method="POST", body=b"a=b&" * 6000, headers=FORM)
    assert answer.status == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_405(api, ask, method):
    """With the envelope of all errors."""
    answer = ask(api.integration_url, {"command": "listApis"}, method=method)
    assert answer.status == 405
    assert answer.json["errorresponse"]["errorcode"] == 405


def test_other_paths_are_404_with_a_hint(api, ask):
    """/client/ is the web interface's."""
    assert ask(f"{api.root}/nothing").status == 404
    ui = ask(f"{api.root}/client/")
    assert ui.status == 404
    assert "webui" in ui.text
    assert "/client/api" in ui.text


def test_a_store_that_does_not_answer_is_534(api, ask, store):
    """The documented 53x, without the database's words."""
    store.close()
    answer = ask(api.integration_url, {"command": "listUsers"})
    assert answer.status == 534
    assert answer.json["errorresponse"]["errortext"].startswith("the database does not answer")


def test_an_unforeseen_exception_is_530_and_only_the_log_explains_it(api, ask, monkeypatch, caplog):
    """The caller gets an incident number; the log has that number with the traceback."""
    secret_detail = "the password is hunter2"

    def broken(*_):
        raise ZeroDivisionError(secret_detail)

    monkeypatch.setattr(api.store, "select", broken)
    answer = ask(api.integration_url, {"command": "listUsers"})
    text = answer.json["errorresponse"]["errortext"]
    assert answer.status == 530
    assert "Traceback" not in answer.text
    assert secret_detail not in answer.text
    [record] = [record for record in caplog.records if record.exc_info]
    assert text.split()[-1] in record.getMessage()


@pytest.mark.parametrize("kind", [StoreUnavailable, OutcomeUnknown])
def test_a_store_that_fails_in_the_middle_of_a_call_changes_nothing(api, monkeypatch, caplog, kind):
    """The answer says so, the log says why, and the next call works."""

    def lost(*_):
        raise kind("connection refused to db1:3306 as cloud")

    with monkeypatch.context() as patched:
        patched.setattr(api.store, "commit", lost)
        code, text = api.refused("updateConfiguration", name="ha.tag", value="x")
    assert code == 534
    assert "db1" not in text
    assert "updateConfiguration: connection refused to db1:3306" in caplog.text
    assert api.admin("listConfigurations", name="ha.tag")["configuration"][0]["value"] == ""


def test_the_integration_port_does_not_serve_other_sites_pages(api, ask):
    """A browser names the page's origin; an operator's tool does not."""
    url, parameters = api.integration_url, {"command": "listUsers"}
    assert ask(url, parameters, headers={"Origin": "http://evil.example"}).status == 401
    assert ask(url, parameters, headers={"Sec-Fetch-Site": "cross-site"}).status == 401
    assert ask(url, parameters).status == 200
