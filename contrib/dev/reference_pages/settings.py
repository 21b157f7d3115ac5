"""settings.md: the global settings, with upstream's defaults beside ours."""

from holdfast.settings import CATALOGUE, INEQUALITIES, Setting

from reference_pages.markdown import code, page, table


def write() -> str:
    """The page."""
    intro = (
        "All management servers share these settings. They are read with `listConfigurations` and changed with "
        "`updateConfiguration`. "
        "A setting of scope Zone, Cluster or StoragePool may have another value for one of them. "
        "Upstream is CloudStack 4.22; a dash means that it has no such setting. "
        "Upstream counts several of its times in ticks of 1,024 ms; here a second is a second."
    )
    blocks = []
    for category in dict.fromkeys(setting.category for setting in CATALOGUE.values()):
        blocks.append(f"## {category}")
        blocks.append(
            table(
                ("setting", "default", "upstream", "unit", "scope", "allowed", "meaning"),
                (_row(setting) for setting in CATALOGUE.values() if setting.category == category),
            )
        )
    rules = table(("must hold", "or else"), ((code(rule.text), rule.reason) for rule in INEQUALITIES))
    note = "A change that breaks one of these is refused, with the inequality and the values."
    return page("Settings", intro, *blocks, "## Inequalities", note, rules)


def _row(setting: Setting) -> tuple[str, ...]:
    return (
        code(setting.name),
        code(setting.default) or "*(empty)*",
        code(setting.upstream) if setting.upstream != "-" else "-",
        setting.unit,
        setting.scope,
        _allowed(setting),
        setting.description,
    )


def _allowed(setting: Setting) -> str:
    if setting.words:
        return ", ".join(setting.words)
    if setting.kind == "bool":
        return "true, false"
    if setting.kind == "text":
        return "text" if setting.high is None else f"text of at most {setting.high:g} characters"
    if setting.low is None and setting.high is None:
        return "any number"
    low = "" if setting.low is None else f"{setting.low:g}"
    high = "" if setting.high is None else f"{setting.high:g}"
    return f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"
