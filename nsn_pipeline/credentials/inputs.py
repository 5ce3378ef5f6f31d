"""Reads credentials from JSON or `FIELD=VALUE` lines. Faults name the line, and never quote it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from nsn_pipeline.credentials.fields import SYSTEMS, System
from nsn_pipeline.errors import ConfigurationError

# What a whole .env file holds besides one system's credentials: these are passed over.
_NO_CREDENTIAL = re.compile(r"NSN_[A-Z_]+|REDIS_URL|(NETSUITE|SERVICENOW)_CONCURRENCY")
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<value>.*?)(?P=quote)(\s+#.*)?""")
_COMMENT = re.compile(r"\s#.*")
_PATH_SUFFIXES = ("_path", "_PATH")


def parse(text: str, system: System, *, folder: Path) -> dict[str, str]:
    """Values by field name. `private_key=@FILE` (or `private_key_path`) reads FILE, from `folder`.

    Only the key may be a file: a password can begin with `@`.
    """
    values: dict[str, str] = {}
    pairs = _json_pairs(text) if text.lstrip().startswith("{") else _line_pairs(text)
    for place, name, value in pairs:
        if _belongs_elsewhere(name, system):
            continue
        is_path = name.endswith(_PATH_SUFFIXES)
        field = system.find(name[:-5] if is_path else name)
        if field is None or (is_path and field.name != "private_key"):
            known = ", ".join(field.name for field in system.fields)
            raise ConfigurationError(f"{place} names no field of {system.title}: use {known}")
        if field.name in values:
            raise ConfigurationError(f"{place} gives {field.name} a second time")
        is_file = field.name == "private_key" and (is_path or value.startswith("@"))
        values[field.name] = (
            read_key_file(value.removeprefix("@"), folder=folder) if value and is_file else value
        )
    if not values:
        raise ConfigurationError(f"there is no field of {system.title} in the input")
    return values


def read_key_file(name: str, *, folder: Path) -> str:
    """The text of a PEM file."""
    if "-----BEGIN" in name:
        raise ConfigurationError("private_key: give the path of the PEM file, not its content")
    try:
        return (folder / Path(name.strip()).expanduser()).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError, ValueError, RuntimeError):
        pass  # the path is not quoted: it may be a secret typed at the wrong place
    raise ConfigurationError("private_key: the file cannot be read as a PEM file")


def _json_pairs(text: str) -> Iterator[tuple[str, str, str]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # carries the whole text with it
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError("the input begins like JSON, and is not one JSON object")
    for number, (name, value) in enumerate(found.items(), start=1):
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"entry {number} of the JSON object is not a text")
        yield f"entry {number} of the JSON object", name, value or ""


def _line_pairs(text: str) -> Iterator[tuple[str, str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.removeprefix("export ").partition("=")
        if not equals:
            raise ConfigurationError(f"line {number} is not FIELD=VALUE")
        yield f"line {number}", name.strip(), _unquoted(value.strip())


def _unquoted(value: str) -> str:
    """As in a `.env` file: a `#` after a blank begins a comment, unless the value is quoted."""
    if match := _QUOTED.fullmatch(value):
        return match["value"]
    return _COMMENT.sub("", f" {value}").strip()


def _belongs_elsewhere(name: str, system: System) -> bool:
    others = (other for other in SYSTEMS.values() if other is not system)
    variables = {field.variable for other in others for field in other.fields}
    return name.removesuffix("_PATH") in variables or bool(_NO_CREDENTIAL.fullmatch(name))
