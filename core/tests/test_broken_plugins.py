"""Every way in which a selected plugin can be broken stops the start, and says what to do."""

import sys
from typing import Any

import pytest
from holdfast.config import from_document
from holdfast.errors import ConfigurationError, PluginError
from holdfast.plugins import Plugins

HEAD = "from holdfast.hooks.markers import hookimpl\n"
STATE = "    @hookimpl\n    def power_state(self, bmc, deadline): return 'off'\n"
ACTION = "    @hookimpl\n    def power_action(self, bmc, action, deadline): return 'ok'\n"
INIT = "    def __init__(self, settings): pass\n"
CLASS = HEAD + "class Oobm:\n" + INIT

BROKEN = {
    "import error": (
        "import no_such_module_at_all\n",
        r"cannot be imported: ModuleNotFoundError: No module named 'no_",
    ),
    "syntax error": ("def (:\n", r"cannot be imported: SyntaxError"),
    "assertion at import": ("assert False, 'unfit'\n", r"cannot be imported: AssertionError: unfit"),
    "exit at import": ("import sys\nsys.exit(3)\n", r"cannot be imported: SystemExit: 3"),
    "no such class": ("class Other: pass\n", r"cannot be imported: AttributeError"),
    "not a class": ("def Oobm(settings): pass\n", r"is not a class but function"),
    "missing method": (CLASS + STATE, r"lacks the mandatory method power_action\(self, bmc"),
    "unmarked method": (
        CLASS + STATE + ACTION.replace("    @hookimpl\n", ""),
        r"method power_action is there but not marked @hookimpl",
    ),
    "misspelt method": (
        CLASS + STATE.replace("power_state", "powr_state") + ACTION,
        r"method powr_state is not one of OobmDriver; did you mean power_state\?",
    ),
    "misspelt unmarked optional method": (
        CLASS + STATE + ACTION + "    def set_pasword(self, bmc, new_password, deadline): pass\n",
        r"method set_pasword looks like set_password misspelt",
    ),
    "unmarked optional method": (
        CLASS + STATE + ACTION + "    def self_test(self): pass\n",
        r"method self_test is there but not marked @hookimpl",
    ),
    "wrong argument": (
        CLASS + STATE.replace("deadline", "timeout") + ACTION,
        r"power_state has the wrong signature: it is \(self, bmc, timeout\), the interface gives \(self, bmc: ",
    ),
    "argument that nobody gives": (
        CLASS + STATE.replace("deadline", "deadline, *, retries") + ACTION,
        r"method power_state asks for retries, which no caller gives",
    ),
    "coroutine": (
        CLASS + STATE.replace("def power", "async def power") + ACTION,
        r"power_state must be `def`, not `async def`",
    ),
    "generator": (CLASS + STATE.replace("return", "yield") + ACTION, r"method power_state is a generator"),
    "hook wrapper": (
        CLASS + STATE.replace("@hookimpl", "@hookimpl(wrapper=True)").replace("return", "yield") + ACTION,
        r"power_state is a hook wrapper",
    ),
    "renamed by specname": (
        CLASS
        + STATE.replace("@hookimpl", "@hookimpl(specname='power_state')").replace("power_state(", "state(")
        + ACTION,
        r"method state uses specname; name the method power_state",
    ),
    "constructor raises": (
        CLASS.replace("pass", "raise OSError('no device')") + STATE + ACTION,
        r"cannot be constructed: OSError: no device",
    ),
    "constructor exits": (
        CLASS.replace("pass", "raise SystemExit('bye')") + STATE + ACTION,
        r"cannot be constructed: SystemExit: bye",
    ),
    "constructor takes nothing": (
        CLASS.replace(", settings", "") + STATE + ACTION,
        r"cannot be constructed: TypeError: .*takes 1 positional argument",
    ),
    "settings that are none": (
        CLASS + "    SETTINGS = {'port': 5}\n" + STATE + ACTION,
        r"cannot be checked: TypeError: SETTINGS must map",
    ),
    "secret in the error": (
        CLASS.replace("pass", "raise OSError('login failed password=hunter2')") + STATE + ACTION,
        r"login failed password=\*\*\*\*\.",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_named_with_its_cause(case: str, site: Any) -> None:
    """Group, name, distribution, version, cause, the names there are, what to run next: at start and at each use."""
    source, cause = BROKEN[case]
    site.install(source, {"oobm": {"broken": "Oobm", "broken-too": "Oobm"}}, name="acme-bmc", version="4.2")
    plugins = Plugins(from_document({"oobm": {"enabled": ["broken"]}}))
    with pytest.raises(PluginError, match=cause) as caught:
        plugins.driver("oobm", "broken")
    text = str(caught.value)
    for part in ("holdfast.oobm", '"broken"', "acme-bmc 4.2", "broken, broken-too", "Run next: holdfast plugins check"):
        assert part in text
    with pytest.raises(PluginError, match=cause):
        plugins.load_selected("oobm")


def test_all_faults_of_a_class_are_named_at_once(site: Any) -> None:
    """An author mends them in one go."""
    site.install(CLASS, {"oobm": {"empty": "Oobm"}})
    with pytest.raises(PluginError, match=r"mandatory method power_state.*mandatory method power_action"):
        Plugins().driver("oobm", "empty")


def test_a_service_must_be_made_of_coroutines(site: Any) -> None:
    """The other way round than for drivers: services run on the event loop."""
    methods = "".join(f"    @hookimpl\n    def {name}(self): pass\n" for name in ("start", "wait", "stop"))
    site.install(HEAD + "class Odd:\n" + methods, {"service": {"odd": "Odd"}})
    with pytest.raises(PluginError, match="method start must be `async def`, not `def`"):
        Plugins().driver("service", "odd")


def test_an_unselected_broken_plugin_is_harmless_and_never_imported(site: Any) -> None:
    """Installed is not selected."""
    module = site.install("import no_such_module\n", {"oobm": {"broken": "Oobm"}, "notifier": {"worse": "Oobm"}})
    plugins = Plugins(from_document({"notifier": {"enabled": ["log"]}}))
    assert plugins.load_selected("notifier") == []
    assert plugins.has("oobm", "broken")
    assert module not in sys.modules


def test_a_driver_that_is_not_enabled_is_refused(site: Any) -> None:
    """`enabled` is the whole list for its point."""
    module = site.install(CLASS + STATE + ACTION, {"oobm": {"a": "Oobm", "b": "Oobm"}})
    plugins = Plugins(from_document({"oobm": {"enabled": ["a"]}}, "here.toml"))
    assert plugins.driver("oobm", "a").power_state(None, 1.0) == "off"
    with pytest.raises(PluginError, match=r'"b".*not enabled: here\.toml: oobm\.enabled lists a\.'):
        plugins.driver("oobm", "b")
    assert module in sys.modules


def test_mark_ineligible_starts_without_a_broken_driver(site: Any) -> None:
    """The escape is for points whose absence only takes hosts out of HA; using the driver still fails."""
    site.install("import no_such_module\n", {"notifier": {"broken": "X"}, "placement": {"broken": "X"}})
    document = {"server": {"on_plugin_error": "mark-ineligible"}, "notifier": {"enabled": ["log", "broken"]}}
    plugins = Plugins(from_document(document))
    (tolerated,) = plugins.load_selected("notifier")
    assert 'notifier "broken"' in str(tolerated)
    assert len(plugins.drivers("notifier")) == 1
    with pytest.raises(PluginError):
        plugins.driver("notifier", "broken")


def test_mark_ineligible_never_drops_a_placement_filter(site: Any) -> None:
    """Without it VMs could run where they must not."""
    site.install("import no_such_module\n", {"placement": {"broken": "X"}})
    document = {"server": {"on_plugin_error": "mark-ineligible"}, "placement": {"order": ["broken"]}}
    plugins = Plugins(from_document(document))
    with pytest.raises(PluginError):
        plugins.load_selected("placement")
    with pytest.raises(PluginError):
        plugins.drivers("placement")


def test_a_selected_plugin_that_is_missing_names_the_key(site: Any) -> None:
    """So that the reader knows which line to mend."""
    plugins = Plugins(from_document({"database": {"driver": "sqllite"}}, "here.toml"))
    with pytest.raises(PluginError, match=r'here\.toml: database\.driver: plugin database "sqllite".*mean "sqlite"'):
        plugins.driver("database")


def test_settings_that_are_wrong_stop_the_start(site: Any) -> None:
    """The cause says file, table and key."""
    declared = (
        HEAD + "from holdfast.options import Option\nclass Oobm:\n    SETTINGS = {'port': Option(int, 623, low=1)}\n"
    )
    site.install(declared + INIT + STATE + ACTION, {"oobm": {"acme": "Oobm"}})
    plugins = Plugins(from_document({"oobm": {"acme": {"port": 0}}}, "here.toml"))
    with pytest.raises(ConfigurationError, match=r"here\.toml: oobm\.acme\.port is 0; allowed is a whole number of at"):
        plugins.driver("oobm", "acme")
