"""db-properties.md: every key of `db.properties`, with what CloudStack means by it beside what Holdfast does."""

from holdfast_mysqlfailover.keys import KEYS

from reference_pages.markdown import code, page, table


def write() -> str:
    """The page."""
    intro = (
        "The database driver `mysql` reads this file; `[database.mysql] properties` says where it is. "
        "`<x>` is `cloud` or `usage`. `holdfast config check` shows the keys in effect, and on which line each stands. "
        "An unknown key of `db.cloud`, `db.usage` or `db.ha` is an error, and so are two names of one key that say "
        "different things. Any value may be written `ENC(…)`."
    )
    rows = (
        (
            code(key.name),
            ", ".join(map(code, key.old)),
            code(key.default) if key.default else "",
            key.upstream,
            key.ours,
        )
        for key in KEYS
    )
    return page("db.properties", intro, table(("key", "older name", "default", "in CloudStack", "in Holdfast"), rows))
