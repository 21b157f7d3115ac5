"""From a `db.properties` file to the `Plan` of one database."""

import ssl
from pathlib import Path

from holdfast.errors import ConfigurationError
from holdfast.model.secret import Secret

from holdfast_mysqlfailover.addresses import LARGEST_PORT, BadAddress, Url, hosts_of, parameters_of, url_of
from holdfast_mysqlfailover.encryption import management_secret
from holdfast_mysqlfailover.plan import Plan, Tls, Value
from holdfast_mysqlfailover.properties import read_properties
from holdfast_mysqlfailover.tls import BadKeyStore, made
from holdfast_mysqlfailover.values import Values

_LONGEST_PAUSE = 5.0
_SHORTEST_PAUSE = 0.25
_SSL_MODES = {
    "disabled": (False, False, False),
    "disable": (False, False, False),
    "preferred": (True, False, False),
    "required": (True, False, False),
    "trust": (True, False, False),
    "verify_ca": (True, True, False),
    "verify-ca": (True, True, False),
    "verify_identity": (True, True, True),
    "verify-full": (True, True, True),
}
"""sslMode → encrypted, certificate checked, name checked."""


def read_plan(path: Path, database: str, key_file: Path, connect_seconds: float, answer_seconds: float) -> Plan:
    """The plan of `database` ("cloud" or "usage"). Reads files, resolves and connects nothing.

    `key_file` holds the management secret. The seconds hold unless the file's URL parameters give others.
    `ConfigurationError` names the file, the line and the key of whatever is wrong.
    """
    entries = read_properties(path)
    values = Values(path, entries, database)
    _unlock(values, key_file)
    url = _url(values)
    if not any(name.startswith(f"db.{database}.") for name in entries):
        raise ConfigurationError(
            f"{path} says nothing of the database {database}: no key in it begins with db.{database}. It is empty, or "
            "another file; put the right one there"
        )
    parameters = url.parameters
    return Plan(
        hosts=url.hosts,
        database=url.database,
        user=values.text("db.<x>.username"),
        password=Secret(values.text("db.<x>.password")),
        back_seconds=float(values.number("db.<x>.secondsBeforeRetrySource")),
        back_statements=values.number("db.<x>.queriesBeforeRetrySource"),
        longest_pause_seconds=_pause(values.number("db.<x>.initialTimeout")),
        read_only_elsewhere=values.flag("db.<x>.failOverReadOnly"),
        most_connections=values.number("db.<x>.maxActive", low=1),
        kept_connections=values.number("db.<x>.maxIdle", low=1),
        pool_seconds=values.number("db.<x>.connectionTimeout", low=1) / 1000,
        connect_seconds=_milliseconds(values, parameters, "connecttimeout", connect_seconds),
        answer_seconds=_milliseconds(values, parameters, "sockettimeout", answer_seconds),
        tls=_tls(values, parameters),
        values=values.explained(_idle(values)),
    )


def has_database(path: Path, database: str) -> bool:
    """Whether the file says anything of where `database` is."""
    entries = read_properties(path)
    return any(entries.get(f"db.{database}.{key}") for key in ("host", "uri"))


def explain(plan: Plan) -> tuple[Value, ...]:
    """Every key in effect, then what follows from them."""
    order = ", ".join(map(str, plan.hosts))
    return (*plan.values, Value("(hosts, in this order)", order, "from the keys above"))


def _idle(values: Values) -> dict[str, str]:
    """Keys without effect beside the others, and why: somebody may rely on them."""
    if values.text("db.<x>.uri"):
        reason = "no effect: the key uri says it"
        return dict.fromkeys(("db.ha.enabled", "db.<x>.host", "db.<x>.replicas", "db.<x>.url.params"), reason)
    return {} if values.flag("db.ha.enabled") else {"db.<x>.replicas": "no effect: db.ha.enabled is false"}


def _pause(initial_timeout: int) -> float:
    return min(max(float(initial_timeout), _SHORTEST_PAUSE), _LONGEST_PAUSE)


def _unlock(values: Values, key_file: Path) -> None:
    # These two say how to read the others, so they are plain.
    name = "db.cloud.encryption.type"
    values.version = values.text("db.cloud.encryptor.version").upper()
    if values.version not in ("", "V1", "V2"):
        raise values.error("db.cloud.encryptor.version", f"is {values.version!r}; allowed are V1, V2 and nothing")
    values.secret = management_secret(values.text(name).lower() or "none", key_file, values.place(name))


def _url(values: Values) -> Url:
    port = values.number("db.<x>.port", low=1, high=LARGEST_PORT)
    uri, ha = values.text("db.<x>.uri"), values.flag("db.ha.enabled")
    name = "db.<x>.uri" if uri else "db.<x>.host"
    try:
        if uri:
            url = url_of(uri, port)
            return Url(url.hosts, url.database or values.text("db.<x>.name"), url.parameters)
        texts = [values.text(name)]
        hosts_of(texts, port)
        if ha:
            name = "db.<x>.replicas"
            if not values.is_written(name):
                raise BadAddress("is missing, though db.ha.enabled is true: name the other hosts there")
            texts += values.text(name).split(",")
        return Url(hosts_of(texts, port), _database(values), parameters_of(values.text("db.<x>.url.params")))
    except BadAddress as problem:
        raise values.error(name, str(problem)) from None


def _database(values: Values) -> str:
    name = values.text("db.<x>.name")
    if not name:
        raise values.error("db.<x>.name", "is empty; give the name of the database")
    return name


def _milliseconds(values: Values, parameters: dict[str, str], name: str, default: float) -> float:
    text = parameters.get(name, "0")
    if not text.isascii() or not text.isdigit():
        raise ConfigurationError(f"{values.path}: the URL parameter {name} is {text!r}; allowed are milliseconds")
    # 0 means "for ever" to Connector/J: a dead host would hang its callers.
    return int(text) / 1000 or default


def _tls(values: Values, parameters: dict[str, str]) -> Tls | None:
    trust_store, key_store = values.text("db.<x>.trustStore"), values.text("db.<x>.keyStore")
    wanted = values.flag("db.<x>.useSSL") or "true" in (parameters.get("usessl"), parameters.get("requiressl"))
    verify = check_name = bool(trust_store) or parameters.get("verifyservercertificate") == "true"
    mode = parameters.get("sslmode", "").lower()
    if mode:
        if mode not in _SSL_MODES:
            raise ConfigurationError(f"{values.path}: the URL parameter sslMode is {mode!r}, which is not known")
        wanted, verify, check_name = _SSL_MODES[mode]
    if not wanted:
        return None
    name = "db.<x>.trustStore" if trust_store else "db.<x>.keyStore"
    try:
        return made(
            trust_store=trust_store,
            trust_password=Secret(values.text("db.<x>.trustStorePassword")),
            key_store=key_store,
            key_password=Secret(values.text("db.<x>.keyStorePassword")),
            verify=verify,
            check_name=check_name,
        )
    except BadKeyStore as problem:
        raise values.error(name, str(problem)) from None
    except (ssl.SSLError, ValueError):
        raise values.error(name, "names a file without a usable certificate") from None
