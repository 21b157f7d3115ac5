"""A `db.properties` file becomes a plan, or an error that names file, line and key."""

from collections.abc import Callable
from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError
from holdfast.model.secret import Secret
from holdfast_mysqlfailover.encryption import encrypt
from holdfast_mysqlfailover.keys import KEYS, all_names, keys_of
from holdfast_mysqlfailover.plan import Plan
from holdfast_mysqlfailover.reading import explain, read_plan

Make = Callable[..., Plan]

GUIDE = """
db.cloud.username=cloud
db.cloud.password=hunter2
db.cloud.host=db1
db.cloud.port=3306
db.cloud.name=cloud
db.usage.host=db1
db.usage.username=cloud
db.usage.password=hunter3
db.ha.enabled=true
db.cloud.slaves=db2,db3:3307
db.usage.slaves=db2
db.cloud.secondsBeforeRetryMaster=3600
db.cloud.queriesBeforeRetryMaster=5000
db.cloud.initialTimeout=3600
"""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The plan of a file with this text."""

    def read(text: str, database: str = "cloud") -> Plan:
        path = tmp_path / "db.properties"
        path.write_text(text)
        return read_plan(path, database, tmp_path / "key", 2.0, 30.0)

    return read


def _hosts(plan: Plan) -> list[str]:
    return [str(host) for host in plan.hosts]


def test_the_guides_file_is_understood(make: Make) -> None:
    """Old names, a port for each host, and the usage database beside the cloud's."""
    plan = make(GUIDE)
    assert _hosts(plan) == ["db1:3306", "db2:3306", "db3:3307"]
    assert (plan.database, plan.user, plan.password) == ("cloud", "cloud", Secret("hunter2"))
    assert (plan.back_seconds, plan.back_statements) == (3600, 5000)
    usage = make(GUIDE, "usage")
    assert _hosts(usage) == ["db1:3306", "db2:3306"]
    assert (usage.database, usage.password, usage.most_connections) == ("cloud_usage", Secret("hunter3"), 100)


def test_new_names_mean_the_same(make: Make) -> None:
    """And win nothing over old ones: what says the same twice is the same."""
    new = GUIDE.replace("slaves", "replicas").replace("RetryMaster", "RetrySource")
    assert _hosts(make(new)) == _hosts(make(GUIDE))
    assert make(new + GUIDE).back_seconds == 3600


def test_replicas_are_ignored_while_ha_is_off(make: Make) -> None:
    """The file as shipped names localhost twice."""
    plan = make("db.ha.enabled=false\ndb.cloud.replicas=localhost,localhost\n")
    assert _hosts(plan) == ["localhost:3306"]
    assert not plan.fails_over


def test_the_pause_between_attempts_is_capped(make: Make) -> None:
    """An hour of waiting after a power cut is no high availability."""
    assert make("db.cloud.initialTimeout=3600").longest_pause_seconds == 5.0
    assert make("db.cloud.initialTimeout=2").longest_pause_seconds == 2.0
    assert make("db.cloud.initialTimeout=0").longest_pause_seconds == 0.25


def test_time_outs_are_never_infinite(make: Make) -> None:
    """0 means for ever to Connector/J, and our default to us."""
    plan = make("db.cloud.url.params=connectTimeout=1500&socketTimeout=0&prepStmtCacheSize=517")
    assert (plan.connect_seconds, plan.answer_seconds) == (1.5, 30.0)


def test_encrypted_values_are_decrypted(make: Make, tmp_path: Path) -> None:
    """With the key file."""
    (tmp_path / "key").write_text("mgmt\n")
    text = f"db.cloud.encryption.type=file\ndb.cloud.password={encrypt('pa=ss', Secret('mgmt'))}\n"
    plan = make(text)
    assert plan.password == Secret("pa=ss")
    shown = {value.key: value.text for value in explain(plan)}
    assert shown["db.cloud.password"] == "(hidden)"
    assert shown["db.cloud.encryption.type"] == "file"
    (tmp_path / "key").write_text("wrong\n")
    with pytest.raises(ConfigurationError, match=r"line 2: db\.cloud\.password cannot be decrypted.*-m"):
        make(text)
    with pytest.raises(ConfigurationError, match=r"line 1: db\.cloud\.password is encrypted, but .* none"):
        make(text.splitlines()[1])


def test_a_jdbc_url_takes_the_place_of_other_keys(make: Make) -> None:
    """Each host of it has its own port."""
    plan = make(
        GUIDE + "db.cloud.uri=jdbc:mysql://a:3310,[fd00::2]:3311,c/clouddb?useSSL=true&connectTimeout=900\n",
    )
    assert _hosts(plan) == ["a:3310", "[fd00::2]:3311", "c:3306"]
    assert (plan.database, plan.connect_seconds) == ("clouddb", 0.9)
    assert plan.tls is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("db.cloud.hots=db1", r"line 1: db\.cloud\.hots is not a known key.*db\.cloud\.host"),
        ("\n\ndb.ha.enable=true", r"line 3: db\.ha\.enable is not a known key.*db\.ha\.enabled"),
        ("db.ha.enabled=yes", r"line 1: db\.ha\.enabled is 'yes'; allowed are true and false"),
        ("db.cloud.port=33o6", r"db\.cloud\.port is '33o6'; allowed is a whole number from 1"),
        ("db.cloud.port=0", r"db\.cloud\.port is '0'"),
        ("db.cloud.port=65536", r"db\.cloud\.port is '65536'; allowed is a whole number from 1 to 65535"),
        ("db.ha.enabled=true\ndb.cloud.host=db1", r"db\.cloud\.replicas is missing, though db\.ha\.enabled is true"),
        ("db.cloud.maxActive=-1", r"db\.cloud\.maxActive is '-1'"),
        ("", "db.properties says nothing of the database cloud"),
        ("db.cloud.host=db1:99999", r"a port is a number from 1 to 65535"),
        ("db.cloud.host=db 1", "no name or address of a host"),
        ("db.cloud.name=", r"db\.cloud\.name is empty"),
        ("db.ha.enabled=true\ndb.cloud.replicas=localhost,localhost", "names localhost:3306 twice"),
        ("db.ha.enabled=true\ndb.cloud.replicas=", "empty place in its list"),
        ("db.ha.enabled=true\ndb.cloud.replicas=a,,b", "empty place in its list"),
        (
            "db.cloud.slaves=a\ndb.cloud.replicas=b",
            r"replicas \(line 2\) and db\.cloud\.slaves \(line 1\) are two names",
        ),
        (
            "db.cloud.secondsBeforeRetryMaster=1\ndb.cloud.secondsBeforeRetrySource=2",
            "two names of the same setting",
        ),
        ("db.cloud.encryption.type=web", "allowed are none, file, env"),
        ("db.cloud.encryptor.version=V3", "allowed are V1, V2"),
        ("db.cloud.uri=jdbc:postgresql://a/b", "no JDBC URL"),
        ("db.cloud.uri=jdbc:mysql:loadbalance://a,b/c", "asks for loadbalance"),
        ("db.cloud.url.params=connectTimeout=fast", "connecttimeout is 'fast'"),
        ("db.cloud.url.params=sslMode=SOMETIMES", "sslMode is 'sometimes'"),
        ("db.cloud.useSSL=true\ndb.cloud.trustStore=/nowhere.p12", r"line 2: db\.cloud\.trustStore names /nowhere"),
    ],
)
def test_what_is_wrong_is_named(make: Make, text: str, said: str) -> None:
    """File, line and key, and what is allowed."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        make(text)
    assert "db.properties" in str(caught.value)


def test_a_url_with_a_password_does_not_reach_the_error(make: Make) -> None:
    """It is said where user and password are to be written instead."""
    with pytest.raises(
        ConfigurationError, match=r"line 1: db\.cloud\.uri holds .* keys username and password"
    ) as caught:
        make("db.cloud.uri=jdbc:mysql://cloud:hunter2@db1:3306/cloud\n")
    assert "hunter2" not in str(caught.value)


def test_an_encrypted_value_that_is_cut_off_is_no_password(make: Make, tmp_path: Path) -> None:
    """Servers would be asked with it, and say that access is denied."""
    (tmp_path / "key").write_text("mgmt\n")
    with pytest.raises(ConfigurationError, match=r"line 2: db\.cloud\.password begins with ENC\( but does not end"):
        make(f"db.cloud.encryption.type=file\ndb.cloud.password={encrypt('pass', Secret('mgmt'))[:-1]}\n")


def test_passwords_among_url_parameters_are_not_shown(make: Make) -> None:
    """Connector/J takes those of key stores there; the other parameters are shown."""
    plan = make("db.cloud.url.params=useSSL=false&trustCertificateKeyStorePassword=hunter2&connectTimeout=900\n")
    shown = {value.key: value.text for value in explain(plan)}
    assert shown["db.cloud.url.params"] == "useSSL=false&trustCertificateKeyStorePassword=(hidden)&connectTimeout=900"


def test_keys_that_change_nothing_beside_others_say_so(make: Make) -> None:
    """Replicas without HA, and hosts beside a URL."""
    off = {value.key: value.note for value in explain(make("db.cloud.host=db1\ndb.cloud.replicas=db2\n"))}
    assert off["db.cloud.replicas"] == "no effect: db.ha.enabled is false"
    by_url = {value.key: value.note for value in explain(make(GUIDE + "db.cloud.uri=jdbc:mysql://a,b/cloud\n"))}
    assert by_url["db.cloud.host"] == by_url["db.cloud.replicas"] == "no effect: the key uri says it"
    assert not {value.key: value.note for value in explain(make(GUIDE))}["db.cloud.replicas"]


def test_keys_of_others_are_nobodys_business(make: Make) -> None:
    """The file belongs to CloudStack as well."""
    make("db.cloud.host=db1\ncluster.node.IP=10.1.1.1\nregion.id=1\ndb.simulator.host=x\nsome.thing=else\n")


def test_every_key_is_explained_and_no_secret_shown(make: Make) -> None:
    """Where it comes from, under which name, and that it is ignored if it is."""
    plan = make(GUIDE + "db.cloud.testOnBorrow=true\ndb.cloud.keyStorePassword=hunter4\n")
    shown = {value.key: value for value in explain(plan)}
    assert shown["db.cloud.replicas"].origin == "line 11 (db.cloud.slaves)"
    assert shown["db.cloud.maxIdle"].origin == "default"
    assert shown["db.cloud.testOnBorrow"].note.startswith("ignored")
    assert shown["(hosts, in this order)"].text == "db1:3306, db2:3306, db3:3307"
    assert not any("hunter" in value.text for value in explain(plan))
    assert "hunter" not in repr(plan)
    used = {key.name for key in keys_of("cloud") if key.is_used}
    assert used <= set(shown)


def test_the_table_of_keys_is_whole() -> None:
    """No name twice, and a meaning for each."""
    names = [name for key in KEYS for name in (key.name, *key.old)]
    assert len(names) == len(set(names))
    assert all(key.upstream for key in KEYS if "*" not in key.name)
    assert "db.usage.slaves" in all_names()
