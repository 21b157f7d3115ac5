"""Global settings: listConfigurations and updateConfiguration."""

from holdfast.errors import Conflict, InvalidRequest
from holdfast.hooks.store import Insert
from holdfast.model import Cluster, Event, Row, StoragePool, Zone
from holdfast.settings import CATALOGUE, Setting, Settings

from holdfast_api.call import Call, Listing
from holdfast_api.fields import Answer
from holdfast_api.registry import Parameter, command
from holdfast_api.setting_changes import SettingChange, check_change

_PORT = "integration.api.port"
_ATTEMPTS = 5
_TYPES = {"int": "Number", "float": "Decimal", "bool": "Boolean", "text": "String"}
_SCOPES: tuple[tuple[str, str, type[Row]], ...] = (
    ("zoneid", "Zone", Zone),
    ("clusterid", "Cluster", Cluster),
    ("storageid", "StoragePool", StoragePool),
)
_WHERE = (
    Parameter("zoneid", "uuid", "the zone, for settings of scope Zone", of="zone"),
    Parameter("clusterid", "uuid", "the cluster, for settings of scope Cluster", of="cluster"),
    Parameter("storageid", "uuid", "the storage pool, for settings of scope StoragePool", of="storagepool"),
)


@command(
    "listConfigurations",
    "Lists settings: the value in effect, our default and CloudStack's.",
    kind="list",
    responds="configuration",
    parameters=(
        Parameter("name", "string", "name of one setting"),
        Parameter("category", "string", "settings of this category"),
        *_WHERE,
    ),
)
def list_configurations(call: Call) -> Listing:
    """With a zone, cluster or pool: the settings that can be set apart there, with what is in effect there."""
    scope, row = _place(call)
    settings = call.stored.read()
    wanted = call.keyword.lower()
    found = [
        setting
        for setting in CATALOGUE.values()
        if (scope in ("Global", setting.scope))
        and call.text("name", setting.name) == setting.name
        and call.text("category", setting.category).lower() == setting.category.lower()
        and (wanted in setting.name.lower() or wanted in setting.description.lower())
    ]
    page = Listing.of(sorted(found, key=lambda setting: setting.name), call.page)
    return Listing([_shown(call, setting, settings, scope, row) for setting in page.items], page.count)


@command(
    "updateConfiguration",
    "Changes a setting, everywhere or in one zone, cluster or storage pool.",
    kind="sync",
    responds="configuration",
    parameters=(
        Parameter("name", "string", "name of the setting", required=True),
        Parameter("value", "string", "the new value", required=True, allow_empty=True, length=4095),
        *_WHERE,
    ),
)
def update_configuration(call: Call) -> Answer:
    """Refused: an unknown name, a value of the wrong type or out of range, and one that contradicts another setting."""
    scope, row = _place(call)
    setting = _setting(call.text("name"))
    if scope not in ("Global", setting.scope):
        raise InvalidRequest(f"setting {setting.name} has scope {setting.scope}; it cannot be set for a {scope}")
    if setting.name == _PORT:
        raise InvalidRequest(f"setting {_PORT} shows what the configuration file says; change integration_port there")
    for attempt in range(1, _ATTEMPTS + 1):
        # Read, check and write under one latch: two changes, each good alone, must not contradict each other.
        change = SettingChange.read(call.store, setting, scope, row.id if row else 0)
        texts = call.stored.texts()
        value = check_change(setting, scope, row.id if row else 0, call.text("value"), texts)
        try:
            call.store.commit(
                [*change.writing(value, call.now()), Insert(_told(call, setting, change.old, value, row))]
            )
            break
        except Conflict:
            if attempt == _ATTEMPTS:
                raise
    call.stored.forget()
    call.context.bell.ring("settings")
    return _shown(call, setting, call.stored.read(), scope, row)


def _place(call: Call) -> tuple[str, Row | None]:
    given = [(scope, call.row(name, record)) for name, scope, record in _SCOPES if call.has(name)]
    if len(given) > 1:
        raise InvalidRequest("give one of zoneid, clusterid and storageid, not several")
    return given[0] if given else ("Global", None)


def _setting(name: str) -> Setting:
    if name not in CATALOGUE:
        raise InvalidRequest(f"parameter name: there is no setting {name[:100]!r}; listConfigurations shows them all")
    return CATALOGUE[name]


def _told(call: Call, setting: Setting, old: str | None, value: str, row: Row | None) -> Event:
    where = f" for {row.name}" if row is not None else ""  # type: ignore[attr-defined]
    before = "its default" if old is None else repr(old)
    text = f"changed the setting {setting.name}{where} from {before} to {value!r}"
    return call.event("CONFIGURATION.VALUE.EDIT", text, resource=("Configuration", setting.name))


def _shown(call: Call, setting: Setting, settings: Settings, scope: str, row: Row | None) -> Answer:
    where = {
        name.removesuffix("id").replace("storage", "pool"): row.id for name, of, _ in _SCOPES if row and of == scope
    }
    value = _text(settings.value(setting.name, **where))  # type: ignore[arg-type]
    if setting.name == _PORT:
        value = str(call.context.live.get("api.integration_port", 0))
    return {
        "name": setting.name,
        "category": setting.category,
        "value": value,
        "defaultvalue": setting.default,
        "upstreamdefault": None if setting.upstream == "-" else setting.upstream,
        "description": setting.description,
        "scope": setting.scope,
        "id": row.uuid if row is not None else None,  # type: ignore[attr-defined]
        "type": _TYPES[setting.kind],
        "unit": setting.unit or None,
        "minimum": setting.low,
        "maximum": setting.high if setting.kind in ("int", "float") else None,
        "options": ",".join(setting.words) or None,
        "isdynamic": setting.name != _PORT,
    }


def _text(value: float | bool | str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
