"""Pages: `page` and `pagesize` go together; without them a list ends at `default.page.size`."""

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.hooks.store import Query
from holdfast.model import Row

from holdfast_api.call import Call, Listing, Page
from holdfast_api.faults import PARAMETER, ApiFault

UNLIMITED = -1


def page_of(parameters: Mapping[str, Any], largest: int) -> Page:
    """The page that was asked for. `ApiFault` 431 if half of the question is missing or the page is too long."""
    page, size = parameters.get("page"), parameters.get("pagesize")
    if (page is None) != (size is None) and UNLIMITED not in (page, size):
        given, missing = ("page", "pagesize") if size is None else ("pagesize", "page")
        raise ApiFault(PARAMETER, f"parameter {given} was given without {missing}; give both, or neither")
    if UNLIMITED in (page, size):
        return Page()
    if page is None or size is None:
        return Page(0, largest)
    if size > largest:
        raise ApiFault(
            PARAMETER, f"parameter pagesize: {size} is above {largest}, the value of the setting default.page.size"
        )
    if page < 1 or size < 1:
        name, value = ("page", page) if page < 1 else ("pagesize", size)
        raise ApiFault(
            PARAMETER, f"parameter {name}: {value} is not accepted; pages and their sizes start at 1, -1 is all"
        )
    return Page((page - 1) * size, size)


def select_page(
    call: Call,
    record: type[Row],
    *,
    equal: Mapping[str, Any] | None = None,
    among: Mapping[str, Any] | None = None,
    below: Mapping[str, Any] | None = None,
    above: Mapping[str, Any] | None = None,
    search: tuple[str, ...] = (),
    order: tuple[str, ...] = (),
) -> Listing:
    """One page of the rows that match, with the total. `search` are the fields in which `keyword` is looked for.

    A None in `equal` means IS NULL: leave out what was not asked for (`given`).
    """
    containing = {call.keyword: search} if call.keyword and search else {}
    conditions: dict[str, Any] = {
        "equal": equal or {},
        "among": among or {},
        "below": below or {},
        "above": above or {},
        "containing": containing,
    }
    if call.page.limit == 0 or any(len(values) == 0 for values in conditions["among"].values()):
        return Listing((), 0)
    rows = call.store.select(record, Query(**conditions, order=order, limit=call.page.limit, offset=call.page.offset))
    whole = call.page.offset == 0 and (call.page.limit is None or len(rows) < call.page.limit)
    return Listing(rows, len(rows) if whole else call.store.count(record, Query(**conditions)))


def pick_page(call: Call, items: Sequence[Mapping[str, Any]], *fields: str, search: str) -> Listing:
    """One page of objects that no table holds: those whose `fields` are as was asked for under the same names, and in
    whose `search` the `keyword` stands."""
    found = [
        item
        for item in items
        if all(call.text(name, item[name]) == item[name] for name in fields)
        and call.keyword.lower() in item[search].lower()
    ]
    return Listing.of(found, call.page)


def given(call: Call, **fields: str) -> dict[str, Any]:
    """Conditions for those parameters that were sent: field="parameter"; a reference counts by its database id."""
    found: dict[str, Any] = {}
    for field, name in fields.items():
        if name in call.parameters:
            value = call.parameters[name]
            found[field] = value.id if isinstance(value, Row) else value
    return found
