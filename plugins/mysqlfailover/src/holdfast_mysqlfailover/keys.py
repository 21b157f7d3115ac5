"""The keys of `db.properties`: what CloudStack means by each, and what Holdfast makes of it.

The reference page and `holdfast config check` are made from this table. `<x>` stands for `cloud` and `usage`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "number", "flag", "secret"]
DATABASES: Final = ("cloud", "usage")


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `old` are older names of the same; `ours` begins with "ignored" where it changes nothing."""

    name: str
    default: str
    upstream: str
    ours: str = "the same"
    kind: Kind = "text"
    old: tuple[str, ...] = ()

    def of(self, database: str) -> "Key":
        """The key of one database, `<x>` filled in."""
        old = tuple(name.replace("<x>", database) for name in self.old)
        name = self.name.replace("<x>", database)
        default = _USAGE_DEFAULTS.get(self.name, self.default) if database == "usage" else self.default
        return Key(name, default, self.upstream, self.ours, self.kind, old)

    @property
    def is_used(self) -> bool:
        """Whether its value changes anything here."""
        return not self.ours.startswith("ignored")


_USAGE_DEFAULTS: Final = {"db.<x>.name": "cloud_usage", "db.<x>.maxActive": "100"}
_POOL: Final = "ignored: the pool looks after its connections by itself"
_ALWAYS: Final = "ignored: Holdfast always reconnects"

KEYS: Final = (
    Key("db.ha.enabled", "false", "use the replicas as well", kind="flag"),
    Key(
        "db.ha.loadBalanceStrategy",
        "com.cloud.utils.db.StaticStrategy",
        "appended to the URL, where it has no effect",
        "ignored: hosts are always tried in order",
    ),
    Key("db.<x>.host", "localhost", "the first database host", "the same; may carry its own port, as in db1:3307"),
    Key("db.<x>.port", "3306", "the port of the last host in the list; others get 3306", "of all hosts", "number"),
    Key("db.<x>.name", "cloud", "the database (usage: cloud_usage)"),
    Key("db.<x>.username", "cloud", "the user"),
    Key("db.<x>.password", "", "the password", kind="secret"),
    Key(
        "db.<x>.uri",
        "",
        "a JDBC URL in place of host, port, name, TLS and HA keys",
        "the same; of its parameters those of url.params are known",
    ),
    Key(
        "db.<x>.replicas",
        "localhost,localhost",
        "the other database hosts, separated by commas",
        "the same; each may carry its own port",
        old=("db.<x>.slaves",),
    ),
    Key(
        "db.<x>.secondsBeforeRetrySource",
        "3600",
        "seconds on a replica until the first host is tried again, at the end of a transaction; 0: never",
        "the same, and the first host must have caught up",
        "number",
        ("db.<x>.secondsBeforeRetryMaster",),
    ),
    Key(
        "db.<x>.queriesBeforeRetrySource",
        "5000",
        "or that many statements, whichever comes first; 0: never",
        "the same, and the first host must have caught up",
        "number",
        ("db.<x>.queriesBeforeRetryMaster",),
    ),
    Key(
        "db.<x>.initialTimeout",
        "3600",
        "seconds between attempts to reconnect",
        "longest pause between attempts while no host can be used, never more than 5 s: the pause begins at 0.25 s "
        "and doubles",
        "number",
    ),
    Key(
        "db.<x>.failOverReadOnly",
        "false",
        "true: nothing is written on a replica",
        "the same; Holdfast then stands still until the first host is back",
        "flag",
    ),
    Key("db.<x>.autoReconnect", "true", "reconnect after an error", _ALWAYS, "flag"),
    Key("db.<x>.reconnectAtTxEnd", "true", "reconnect at the end of a transaction", _ALWAYS, "flag"),
    Key("db.<x>.autoReconnectForPools", "true", "the same for connections of a pool", _ALWAYS, "flag"),
    Key("db.<x>.maxActive", "250", "most connections at once (usage: 100)", "the same", "number"),
    Key("db.<x>.maxIdle", "30", "most connections kept open", "the same", "number"),
    Key("db.<x>.minIdleConnections", "5", "fewest connections kept open", _POOL, "number"),
    Key("db.<x>.maxWait", "600000", "milliseconds to wait for a free connection (older pool)", _POOL, "number"),
    Key("db.<x>.connectionTimeout", "30000", "milliseconds to wait for a free connection", "the same", "number"),
    Key("db.<x>.keepAliveTime", "600000", "milliseconds between checks of idle connections", _POOL, "number"),
    Key("db.<x>.connectionPoolLib", "hikaricp", "which pool", _POOL),
    Key("db.<x>.validationQuery", "", "statement that checks a connection", _POOL),
    Key("db.<x>.testOnBorrow", "true", "check each connection before use", _POOL, "flag"),
    Key("db.<x>.testWhileIdle", "true", "check idle connections", _POOL, "flag"),
    Key("db.<x>.timeBetweenEvictionRunsMillis", "40000", "between those checks", _POOL, "number"),
    Key("db.<x>.minEvictableIdleTimeMillis", "240000", "idle time after which one is closed", _POOL, "number"),
    Key("db.<x>.poolPreparedStatements", "false", "keep prepared statements", _POOL, "flag"),
    Key("db.<x>.isolation.level", "", "isolation of transactions", "ignored: READ COMMITTED"),
    Key("db.<x>.driver", "jdbc:mysql", "which JDBC driver", "ignored: PyMySQL"),
    Key(
        "db.<x>.url.params",
        "",
        "parameters of Connector/J, separated by &",
        "connectTimeout and socketTimeout (milliseconds), useSSL, requireSSL, verifyServerCertificate and sslMode are "
        "honoured; others are ignored",
    ),
    Key("db.<x>.useSSL", "false", "encrypt the connection", kind="flag"),
    Key("db.<x>.keyStore", "", "client certificate and key (JKS)", "the same, as PKCS #12 or PEM"),
    Key("db.<x>.keyStorePassword", "", "its password", kind="secret"),
    Key("db.<x>.trustStore", "", "CAs of the servers (JKS)", "the same, as PKCS #12 or PEM; the name is checked too"),
    Key("db.<x>.trustStorePassword", "", "its password", kind="secret"),
    Key(
        "db.cloud.encryption.type",
        "none",
        "where the management secret is: none, file, env, or web (somebody sends it to port 8097 at each start)",
        "none, file and env",
    ),
    Key("db.cloud.encryptor.version", "", "V1 or V2; empty: try V2, then V1"),
    Key(
        "db.cloud.encrypt.secret",
        "",
        "secret of encrypted columns",
        "ignored: Holdfast's columns are encrypted with [server] key_file",
        "secret",
    ),
    Key("db.simulator.*", "", "the simulator's database", "ignored"),
    Key("cluster.node.IP", "127.0.0.1", "this server's address for its peers", "ignored"),
    Key("cluster.servlet.port", "9090", "this server's port for its peers", "ignored", "number"),
    Key("region.id", "1", "the region", "ignored", "number"),
)


def keys_of(database: str) -> Iterator[Key]:
    """The keys that matter to one database."""
    for key in KEYS:
        if "*" not in key.name:
            yield key.of(database)


def all_names() -> frozenset[str]:
    """Every name that may stand in the file, old ones too."""
    return frozenset(name for database in DATABASES for key in keys_of(database) for name in (key.name, *key.old))
