"""Options of a single BMC: what a driver takes (`OobmDriver.BMC_OPTIONS`), checked, and as they are stored in `oobm`.

Everything an admin gives is text. What is secret is kept apart from the rest, so that it is encrypted at rest and
never shown.
"""

import json
from collections.abc import Mapping
from typing import Any

from holdfast.errors import ConfigurationError, InvalidRequest
from holdfast.model.availability import Oobm
from holdfast.model.rows import Json
from holdfast.model.secret import Secret
from holdfast.options import Option
from holdfast.wording import listed, nearest

_BOOLS = ("true", "false")


def checked(known: Mapping[str, Option], given: Mapping[str, str], driver: str) -> dict[str, str]:
    """`given`, stripped. `InvalidRequest` for the first that `driver` does not know or cannot use; shows no secret.

    An empty text takes an option away again, and is always fine.
    """
    found = {}
    for name, text in given.items():
        if name not in known:
            there = f"it has {listed(known)}" if known else "it has none"
            raise InvalidRequest(f"driver {driver} has no option {name!r} for one BMC{nearest(name, known)} ({there})")
        found[name] = text.strip()
        complaint = _complaint(known[name], found[name]) if found[name] else ""
        if complaint:
            shown = "(hidden)" if known[name].type is Secret else repr(found[name])
            raise InvalidRequest(f"option {name} of driver {driver}: {shown} is not accepted; {complaint}")
    return found


def _complaint(option: Option, text: str) -> str:
    """What is wrong with a text that is not empty, or ""."""
    value: Any = text
    try:
        if option.type in (int, float):
            value = option.type(text)
    except ValueError:
        return f"give {option.allowed()}"
    if option.type is bool and text not in _BOOLS:
        return "give true or false"
    if option.type is Secret:
        value = Secret(text)
    too_low = option.low is not None and isinstance(value, (int, float)) and not value >= option.low
    too_high = option.high is not None and isinstance(value, (int, float)) and not value <= option.high
    if too_low or too_high or (option.choices and value not in option.choices):
        return f"give {option.allowed()}"
    return option.check(value) if option.check else ""


def stored(known: Mapping[str, Option], before: Oobm | None, given: Mapping[str, str]) -> dict[str, Any]:
    """The columns of `before` with `given` (checked) over them; an option with an empty text is taken away."""
    options, secrets = _kept(known, before)
    for name, text in given.items():
        options.pop(name, None)
        secrets.pop(name, None)
        if text and known[name].type is Secret:
            secrets[name] = Secret(text)
        elif text:
            options[name] = text
    hidden = {name: secret.reveal() for name, secret in secrets.items()}
    return {
        "options": Json(json.dumps(options, sort_keys=True)),
        "secret_options": Secret(json.dumps(hidden, sort_keys=True)) if hidden else None,
    }


def _kept(known: Mapping[str, Option], before: Oobm | None) -> tuple[dict[str, str], dict[str, Secret]]:
    """What `known` still has a use for. What cannot be read is what the admin configures anew."""
    try:
        plain, concealed = read(before) if before else ({}, {})
    except ConfigurationError:
        return {}, {}
    return (
        {name: text for name, text in plain.items() if name in known},
        {name: text for name, text in concealed.items() if name in known},
    )


def read(row: Oobm) -> tuple[Mapping[str, str], Mapping[str, Secret]]:
    """What is stored, secrets apart. `ConfigurationError` if it cannot be read: a lost option is never ignored."""
    plain = _object(row, "options", row.options)
    hidden = _object(row, "secret_options", row.secret_options.reveal() if row.secret_options else "")
    return plain, {name: Secret(text) for name, text in hidden.items()}


def _object(row: Oobm, column: str, text: str) -> dict[str, str]:
    if text in ("", "{}"):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ConfigurationError(
            f"oobm.{column} of row {row.id} is no JSON object of texts: configure the device again, or mend the row"
        )
    return found
