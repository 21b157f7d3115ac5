"""Parameters: what each type takes, and what a refusal says."""

import pytest
from holdfast.errors import Conflict, NoCapacity, Refused
from holdfast.hooks.store import Insert
from holdfast.model import Moment, Row, Secret, Zone
from holdfast_api.call import new_uuid
from holdfast_api.faults import ApiFault, fault_of
from holdfast_api.fields import ResponseObject, as_given
from holdfast_api.paging import page_of
from holdfast_api.parameters import ParameterCheck, job_info
from holdfast_api.registry import Parameter, Registry, command
from holdfast_conformance.model_store import ModelStore

THING = ResponseObject(name="thing", fields=(), build=as_given)


@pytest.fixture
def check():
    """Check one parameter of a command."""
    store = ModelStore()

    def checking(parameter, raw):
        declared = command("listThings", "", kind="sync", responds="thing", parameters=(parameter,))(lambda _: {})
        return ParameterCheck(Registry([declared], [THING]), store).check(declared, raw).get(parameter.name)

    checking.store = store
    return checking


UUID = "0f0e0d0c-0b0a-4908-8706-050403020100"


@pytest.mark.parametrize(
    ("parameter", "raw", "value"),
    [
        (Parameter("p", "string", ""), {"p": " 한글 "}, " 한글 "),
        (Parameter("p", "string", ""), {"P": "other letter case"}, "other letter case"),
        (Parameter("p", "string", ""), {"p": " "}, None),
        (Parameter("p", "string", "", allow_empty=True), {"p": ""}, ""),
        (Parameter("p", "string", "", choices=("ON", "OFF")), {"p": "ON"}, "ON"),
        (Parameter("p", "string", "", words=("Routing",)), {"p": "routing"}, "Routing"),
        (Parameter("p", "string", "", words=("Routing",)), {"p": "another"}, "another"),
        (Parameter("p", "string", "", secret=True), {"p": "hush"}, Secret("hush")),
        (Parameter("p", "uuid", ""), {"p": UUID.upper()}, UUID),
        (Parameter("p", "integer", ""), {"p": "-7"}, -7),
        (Parameter("p", "long", ""), {"p": str(2**40)}, 2**40),
        (Parameter("p", "float", ""), {"p": "1.5"}, 1.5),
        (Parameter("p", "boolean", ""), {"p": "TRUE"}, True),
        (Parameter("p", "boolean", ""), {"p": "false"}, False),
        (Parameter("p", "date", ""), {"p": "1970-01-02"}, Moment(86400.0)),
        (Parameter("p", "date", ""), {"p": "1970-01-01T01:00:00+0100"}, Moment(0.0)),
        (Parameter("p", "list", ""), {"p": "a, b,,c"}, ["a", "b", "c"]),
        (Parameter("p", "map", ""), {"p[0].a": "1", "p[1].b.c": "2"}, {"a": "1", "b.c": "2"}),
        (Parameter("p", "map", ""), {"p[0].key": "k", "p[0].value": "v"}, {"k": "v"}),
        (Parameter("p", "map", ""), {}, None),
    ],
)
def test_each_type_takes_its_own(check, parameter, raw, value):
    """Text in, typed value out."""
    assert check(parameter, raw) == value


@pytest.mark.parametrize(
    ("parameter", "text", "allowed"),
    [
        (Parameter("p", "uuid", ""), "-1", "UUID"),
        (Parameter("p", "uuid", ""), "text", "UUID"),
        (Parameter("p", "uuid", ""), "7", "UUID"),
        (Parameter("p", "integer", ""), "1.5", "a whole number"),
        (Parameter("p", "integer", ""), "99999999999", "a whole number"),
        (Parameter("p", "short", ""), "70000", "a whole number"),
        (Parameter("p", "integer", "", low=1, high=9), "0", "from 1 up to 9"),
        (Parameter("p", "float", ""), "nan", "a number"),
        (Parameter("p", "float", ""), "1e999", "a number"),
        (Parameter("p", "boolean", ""), "yes", "true or false"),
        (Parameter("p", "date", ""), "soon", "yyyy-MM-dd"),
        (Parameter("p", "map", ""), "a", "p[0].key"),
        (Parameter("p", "string", "", choices=("ON", "OFF")), "on", "one of ON, OFF"),
        (Parameter("p", "string", "", length=3), "four", "3 are allowed"),
        (Parameter("p", "string", ""), "a\x00b", "control characters"),
        (Parameter("p", "list", ""), "a,\x01", "control characters"),
        (Parameter("p", "list", ""), "a," * 1001, "1000 items"),
    ],
)
def test_a_refusal_names_parameter_finding_and_what_is_allowed(check, parameter, text, allowed):
    """431 with all three."""
    length = 0 if parameter.type == "list" else parameter.length
    with pytest.raises(ApiFault) as caught:
        check(Parameter(parameter.name, parameter.type, "", choices=parameter.choices, low=parameter.low,
                        high=parameter.high, length=length), {"p": text})  # fmt: skip
    assert caught.value.code == 431
    assert "parameter p: " in caught.value.text
    assert allowed in caught.value.text
    assert "\x00" not in caught.value.text


def test_a_refusal_never_shows_a_secret(check):
    """Too long, or with control characters: the text says what is wrong, not what was sent."""
    for wrong in ("hunter2" * 50, "hunter2\x00"):
        with pytest.raises(ApiFault) as caught:
            check(Parameter("p", "string", "", secret=True), {"p": wrong})
        assert "hunter2" not in caught.value.text


def test_a_required_parameter_is_missed(check):
    """Missing and empty are told apart."""
    for raw, said in (({}, "is missing"), ({"p": ""}, "is empty")):
        with pytest.raises(ApiFault, match=f"required parameter p {said}; it is true or false: the switch"):
            check(Parameter("p", "boolean", "the switch", required=True), raw)


def test_references_become_rows(check):
    """Of things that exist and were not removed."""
    [first, second, gone] = [Zone(uuid=new_uuid(), name=name) for name in ("a", "b", "c")]
    check.store.commit([Insert(first), Insert(second), Insert(Zone(uuid=gone.uuid, name="c", removed=Moment(1.0)))])
    assert check(Parameter("p", "uuid", "", of="zone"), {"p": first.uuid}).name == "a"
    found = check(Parameter("p", "list", "", of="zone"), {"p": f"{second.uuid},{first.uuid}"})
    assert [zone.name for zone in found] == ["b", "a"]
    for missing in (gone.uuid, new_uuid()):
        with pytest.raises(ApiFault, match="there is no zone with this id"):
            check(Parameter("p", "uuid", "", of="zone"), {"p": missing})


def test_a_job_stores_database_ids_and_never_a_secret():
    """References by id; what is secret is left out, and refused if a handler adds it."""
    zone = Zone(id=3, uuid=new_uuid(), name="a")
    checked: dict[str, object] = {"zoneid": zone, "ids": [zone], "action": "OFF", "password": Secret("hush")}
    assert job_info(checked, {"action": None, "level": 2}) == {"zoneid": 3, "ids": [3], "level": 2}
    with pytest.raises(TypeError):
        job_info({}, {"password": Secret("hush")})
    assert isinstance(zone, Row)


@pytest.mark.parametrize(
    "sent", [{"page": 1}, {"pagesize": 5}, {"page": 1, "pagesize": 501}, {"page": 0, "pagesize": 5}]
)
def test_half_a_page_and_too_long_a_page_are_refused(sent):
    """431, naming the parameter."""
    with pytest.raises(ApiFault, match="page") as caught:
        page_of(sent, 500)
    assert caught.value.code == 431


@pytest.mark.parametrize(
    ("sent", "offset", "limit"),
    [
        ({}, 0, 500),
        ({"page": 3, "pagesize": 20}, 40, 20),
        ({"page": 1, "pagesize": 500}, 0, 500),
        ({"pagesize": -1}, 0, None),
        ({"page": 1, "pagesize": -1}, 0, None),
    ],
)
def test_pages_start_at_one_and_minus_one_is_all(sent, offset, limit):
    """Without a page a list ends at default.page.size."""
    page = page_of(sent, 500)
    assert (page.offset, page.limit) == (offset, limit)


@pytest.mark.parametrize(
    ("problem", "code", "text"),
    [
        (NoCapacity("no host has room"), 533, "no host has room"),
        (Conflict("changed meanwhile"), 536, "changed meanwhile"),
        (Refused("BMC said no"), 530, "BMC said no"),
    ],
)
def test_foreseen_problems_keep_their_words(problem, code, text):
    """Only what nobody foresaw becomes an incident number."""
    fault = fault_of(problem, "x")
    assert (fault.code, fault.text) == (code, text)


def test_a_registry_refuses_declarations_that_do_not_fit():
    """Doubled names, unknown response objects, references to what has no record."""
    good = command("a", "", kind="sync", responds="thing")(lambda _: {})
    again = command("a", "", kind="sync", responds="thing")(lambda _: {})
    astray = command("b", "", kind="sync", responds="nothing")(lambda _: {})
    dangling = command("c", "", kind="sync", responds="thing", parameters=(Parameter("p", "uuid", "", of="thing"),))
    for commands in ([good, again], [astray], [dangling(lambda _: {})]):
        with pytest.raises(ValueError):
            Registry(commands, [THING])
