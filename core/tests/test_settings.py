"""Global settings: the catalogue is sound, contradictions are named, and a bad stored text never stops the loop."""

import contextlib

import pytest
from holdfast.engine.policy import HostPolicy, host_policy
from holdfast.errors import InvalidRequest
from holdfast.settings import CATALOGUE, INEQUALITIES, Setting, Settings, contradictions
from holdfast.settings_catalogue import ENTRIES
from hypothesis import given
from hypothesis import strategies as st

NUMERIC = [setting for setting in CATALOGUE.values() if setting.kind in ("int", "float")]
BOUNDED = [(setting, bound) for setting in NUMERIC for bound in ("low", "high")]

# For each inequality, values that break it and nothing else.
BREAKING: dict[str, dict[str, str]] = {
    "ha.storage.beat.stale > ha.storage.beat.interval + 2": {"ha.storage.beat.stale": "3"},
    "kvm.ha.fence.timeout > kvm.ha.fence.power.off.confirmations x kvm.ha.power.check.timeout"
    " + (confirmations - 1) x kvm.ha.power.check.interval": {"kvm.ha.fence.timeout": "6.5"},
    "cluster.heartbeat.threshold > 2 x cluster.heartbeat.interval": {"cluster.heartbeat.threshold": "2000"},
    "ha.watchdog.margin > 1 + 0.0005 x (ha.storage.lease + ha.watchdog.time)": {"ha.watchdog.margin": "1"},
    "ha.storage.lease > 2 x ha.storage.beat.interval": {
        "ha.storage.beat.interval": "5",
        "ha.storage.beat.stale": "8",
    },
    "kvm.ha.power.off.max.interval > kvm.ha.power.check.interval": {
        "kvm.ha.power.off.max.interval": "1",
        "kvm.ha.power.check.interval": "1",
    },
    "ha.storage.lease / 2 > ping.interval + cluster.heartbeat.interval / 1000 + 2": {
        "ping.interval": "1.5",
        "cluster.heartbeat.interval": "1500",
    },
}


# --- the catalogue ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", CATALOGUE.values(), ids=lambda setting: setting.name)
def test_every_default_can_be_read_and_is_in_range(setting: Setting) -> None:
    """Of the kind that the row says, and every number has both bounds."""
    value = setting.parse(setting.default)
    kinds = {"int": int, "float": float, "bool": bool, "text": str}
    assert type(value) is kinds[setting.kind]
    assert setting.description.endswith(".")
    if setting.kind in ("int", "float"):
        assert setting.low is not None
        assert setting.high is not None
        assert setting.low <= setting.high


def test_no_setting_is_listed_twice() -> None:
    """A second row would silently replace the first."""
    assert len(CATALOGUE) == len(ENTRIES)


@pytest.mark.parametrize(("setting", "bound"), BOUNDED, ids=lambda value: getattr(value, "name", value))
def test_bounds_are_inclusive_and_named(setting: Setting, bound: str) -> None:
    """The bound itself is allowed; beyond it the error names setting, value and bound."""
    limit = getattr(setting, bound)
    assert setting.parse(f"{limit:.10g}") == limit
    beyond = limit - 1 if bound == "low" else limit + 1
    with pytest.raises(InvalidRequest, match=rf"{setting.name}: .*{bound}est allowed value {limit:g}"):
        setting.parse(f"{beyond:.10g}")


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("kvm.ha.fence.timeout", "soon", "a number"),
        ("kvm.ha.fence.timeout", "nan", "not a finite number"),
        ("kvm.ha.fence.timeout", "inf", "not a finite number"),
        ("kvm.ha.fence.timeout", "", "a number"),
        ("ha.fence.max.attempts", "2.5", "a whole number"),
        ("vm.ha.enabled", "yes", "true or false"),
    ],
)
def test_a_text_of_the_wrong_kind_is_refused_by_name(name: str, text: str, wanted: str) -> None:
    """The error names the setting and what is allowed."""
    with pytest.raises(InvalidRequest, match=name) as refused:
        CATALOGUE[name].parse(text)
    assert wanted in str(refused.value)


@given(st.sampled_from(list(CATALOGUE.values())), st.text())
def test_any_text_is_read_or_refused_and_never_anything_else(setting: Setting, text: str) -> None:
    """No text of a user raises another error than the one the API shows him."""
    with contextlib.suppress(InvalidRequest):
        assert setting.parse(text) is not None


@pytest.mark.parametrize("text", ["true", "TRUE", " True "])
def test_true_is_read_as_operators_write_it(text: str) -> None:
    """Case and blanks do not matter."""
    assert CATALOGUE["force.ha"].parse(text) is True


# --- the inequalities ------------------------------------------------------------------------------------------------


def test_the_defaults_contradict_nothing() -> None:
    """In no cluster."""
    assert contradictions(Settings(), (0, 1, 7)) == []


def test_every_inequality_is_tried_below() -> None:
    """A new inequality needs values that break it."""
    assert {rule.text for rule in INEQUALITIES} == set(BREAKING)
    assert all(name in CATALOGUE for rule in INEQUALITIES for name in rule.names)


@pytest.mark.parametrize("text", BREAKING)
def test_each_inequality_can_fail_and_names_its_settings(text: str) -> None:
    """Equality already breaks it; the sentence names the rule, each setting with its value, and the reason."""
    stored = BREAKING[text]
    (told,) = contradictions(Settings(stored))
    (rule,) = [rule for rule in INEQUALITIES if rule.text == text]
    assert text in told
    assert rule.reason in told
    settings = Settings(stored)
    for name in rule.names:
        assert f"{name} = {settings.number(name):g}" in told


def test_a_contradiction_in_one_cluster_names_it() -> None:
    """Cluster-scoped values are checked where they are in effect."""
    settings = Settings(scoped={("Cluster", 3): {"kvm.ha.fence.timeout": "2"}})
    assert contradictions(settings, (0, 2)) == []
    (told,) = contradictions(settings, (0, 2, 3))
    assert "in cluster 3" in told
    assert "kvm.ha.fence.timeout = 2" in told


# --- which value is in effect ----------------------------------------------------------------------------------------

NAME = "kvm.ha.fence.timeout"


def test_the_narrowest_stored_value_wins() -> None:
    """Scoped before global before the provider's default before ours."""
    provider = {NAME: "40"}
    everything = Settings({NAME: "30"}, {("Cluster", 1): {NAME: "20"}})
    assert everything.value(NAME, cluster=1, provider_defaults=provider) == 20.0
    assert everything.value(NAME, cluster=2, provider_defaults=provider) == 30.0
    assert Settings().value(NAME, cluster=2, provider_defaults=provider) == 40.0
    assert Settings().value(NAME, cluster=2) == 10.0


def test_a_value_of_another_scope_is_not_taken() -> None:
    """A zone's row of a cluster setting, or a cluster's row of a global one, has no effect."""
    settings = Settings(scoped={("Zone", 1): {NAME: "20"}, ("Cluster", 1): {"ha.storage.lease": "60"}})
    assert settings.number(NAME, zone=1, cluster=1) == 10.0
    assert settings.number("ha.storage.lease", cluster=1) == 10.0


def test_zone_and_pool_scopes_are_honoured() -> None:
    """Each by its own id."""
    settings = Settings(
        scoped={("Zone", 2): {"vm.ha.enabled": "false"}, ("StoragePool", 5): {"kvm.ha.on.storage.heartbeat": "false"}}
    )
    assert settings.flag("vm.ha.enabled", zone=1)
    assert not settings.flag("vm.ha.enabled", zone=2)
    assert not settings.flag("kvm.ha.on.storage.heartbeat", pool=5)
    assert settings.flag("kvm.ha.on.storage.heartbeat", pool=6)


def test_a_providers_default_is_no_ones_elses() -> None:
    """Asked without the provider, the same object still says our default."""
    settings = Settings()
    assert settings.value(NAME, provider_defaults={NAME: "40"}) == 40.0
    assert settings.number(NAME) == 10.0


def test_what_was_given_is_copied() -> None:
    """Settings do not change under the feet of who holds them."""
    stored = {NAME: "30"}
    settings = Settings(stored)
    stored[NAME] = "40"
    assert settings.number(NAME) == 30.0


@pytest.mark.parametrize("bad", ["soon", "nan", "-1", "1e9", ""])
def test_a_bad_stored_text_falls_back_and_is_reported_once(bad: str) -> None:
    """To the next wider value, else to the default; with the setting's name among the problems."""
    settings = Settings({NAME: "30"}, {("Cluster", 1): {NAME: bad}})
    assert settings.number(NAME, cluster=1) == 30.0
    assert settings.number(NAME, cluster=1) == 30.0
    (problem,) = settings.problems
    assert NAME in problem
    only = Settings({NAME: bad})
    assert only.number(NAME) == 10.0
    assert len(only.problems) == 1


def test_a_name_that_does_not_exist_is_a_fault_of_the_caller() -> None:
    """No setting is made up."""
    with pytest.raises(KeyError):
        Settings().value("kvm.ha.no.such.key")


# --- the policy of a host --------------------------------------------------------------------------------------------


def test_the_policy_reads_every_number_from_its_setting() -> None:
    """The defaults of design §4, and the counts that are computed from several settings."""
    policy = host_policy(Settings())
    assert policy.dead_by_lease_after == 25.0
    assert policy.dead_needed == 2
    assert (policy.off_needed, policy.fence_off_needed) == (3, 3)
    assert policy.recovery_attempts == 0
    assert policy.power_check is True
    assert policy.stale_after == 4.0


@pytest.mark.parametrize(("attempts", "ratio", "needed"), [(3, 0.5, 2), (10, 0.7, 8), (7, 0.5, 4), (1, 0.0, 1)])
def test_dead_samples_needed_are_those_of_cloudstacks_ratio(attempts: int, ratio: float, needed: int) -> None:
    """Failures above attempts x ratio: with 10 and 0.7 that is 8."""
    names = "kvm.ha.activity.check.max.attempts", "kvm.ha.activity.check.failure.ratio"
    settings = Settings(dict(zip(names, (str(attempts), str(ratio)), strict=True)))
    assert host_policy(settings).dead_needed == needed


def test_two_clusters_have_two_policies() -> None:
    """Cluster values and the provider's defaults reach the policy; zone and global values do as well."""
    settings = Settings(scoped={("Cluster", 1): {"kvm.ha.recover.failure.threshold": "2"}})
    provider = {"kvm.ha.degraded.max.period": "1"}
    assert host_policy(settings, cluster=1).recovery_attempts == 2
    assert host_policy(settings, cluster=2).recovery_attempts == 0
    assert host_policy(settings, cluster=2, provider_defaults=provider).degraded_max == 1.0


def test_no_allowed_value_makes_a_policy_that_cannot_count() -> None:
    """At both bounds of every setting the numbers that are counted to stay at least 1."""
    for bound in ("low", "high"):
        stored = {s.name: f"{getattr(s, bound):.10g}" for s in NUMERIC}
        policy: HostPolicy = host_policy(Settings(stored))
        for count in (policy.dead_needed, policy.alive_needed, policy.fence_max_attempts, policy.brake_min_hosts):
            assert count >= 1
        assert policy.off_needed >= 2
        assert policy.fence_off_needed >= 2


@pytest.mark.parametrize(
    ("name", "bad", "allowed"),
    [
        ("ha.self.fence.action", "explode", "none or stop or reboot"),
        ("indirect.agent.lb.algorithm", "", "static or roundrobin or shuffle"),
        ("kvm.ha.fence.on.storage.heartbeat.failure", "true", "false"),
    ],
)
def test_a_word_that_is_not_allowed_falls_back_and_is_reported(name: str, bad: str, allowed: str) -> None:
    """A row edited by hand: the default counts, and the problem names the row, the word and the words there are."""
    settings = Settings({name: bad})
    default = CATALOGUE[name].default
    assert str(settings.value(name)).lower() == default
    (problem,) = settings.problems
    for part in (f"row {name} of table configuration", repr(bad), f"allowed is {allowed}", repr(default)):
        assert part in problem


def test_allowed_words_may_be_written_in_capitals() -> None:
    """Whoever reads the setting sees the word as it is documented."""
    settings = Settings({"ha.self.fence.action": " Reboot "})
    assert settings.text("ha.self.fence.action") == "reboot"
    assert settings.problems == []


def test_problems_are_found_without_anybody_asking_for_the_value() -> None:
    """In every scope, with the table and the place; rows of other features are none of our business."""
    settings = Settings(
        {"some.plugin.setting": "?"},
        {("Cluster", 3): {NAME: "soon", "resourceHAEnabled": "maybe"}, ("Zone", 1): {NAME: "soon"}},
    )
    (problem,) = settings.problems
    assert f"row {NAME} of table cluster_details, Cluster 3" in problem


def test_a_tag_that_no_host_can_carry_is_refused() -> None:
    """And one that stands in the table counts as none, for every list of hosts asks for its hosts."""
    with pytest.raises(InvalidRequest, match=r"setting ha.tag: it has 101 characters, 100 are allowed"):
        CATALOGUE["ha.tag"].parse("x" * 101)
    stored = Settings({"ha.tag": "x" * 101})
    assert stored.text("ha.tag") == ""
    assert len(stored.problems) == 1
    assert Settings({"ha.tag": "x" * 100}).text("ha.tag") == "x" * 100
