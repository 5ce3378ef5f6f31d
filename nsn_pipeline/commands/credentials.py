"""`nsn credentials`: set, list, rotate and remove what is stored in `NSN_HOME/credentials.enc`.

Prints which values there are, never the values; only a new master key is shown, once, when nobody
but the user can keep it.
"""

import getpass
import json
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from pydantic import SecretStr
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nsn_pipeline.commands.tried_again import have_tried
from nsn_pipeline.credentials.checks import checked, key_facts
from nsn_pipeline.credentials.fields import SYSTEMS, Field, System, system_named
from nsn_pipeline.credentials.inputs import parse, read_key_file
from nsn_pipeline.credentials.listing import (
    Listing,
    auth_of,
    describe_credentials,
    missing_of,
    shown,
)
from nsn_pipeline.credentials.master_key import (
    FILE_VARIABLE,
    VARIABLE,
    KeySource,
)
from nsn_pipeline.credentials.previous_keys import previous_keys
from nsn_pipeline.credentials.private_files import create_private, is_open_to_others
from nsn_pipeline.credentials.store import CredentialStore, Rotation, is_overridden
from nsn_pipeline.errors import ConfigurationError

Ask = Callable[[str, bool], str]  # prompt, whether to hide what is typed -> answer

STDIN = "-"
_ATTEMPTS = 3
_NO_TERMINAL = (
    "there is no terminal to ask at: give the values on standard input (`-`) or with --from-file"
)


def set_credentials(
    console: Console,
    home: Path,
    environment: Mapping[str, str],
    system_name: str,
    *,
    source: str | None = None,
    stdin: TextIO | None = None,
    folder: Path | None = None,
    ask: Ask | None = None,
) -> None:
    """Store a system's credentials, asked at the terminal or read from `source` (`-`, or a file).

    `folder` is where relative paths typed by the user begin. Raises ConfigurationError, and stores
    nothing, when anything is faulty.
    """
    system = system_named(system_name)
    store = CredentialStore(home, environment)
    # A missing or wrong key must show before anybody types a secret.
    stored = store.read().get(system.name, {})
    store.ensure_master_key()
    start = folder or Path.cwd()
    if source is None:
        values = _asked(console, system, stored, ask=ask or _terminal(console), folder=start)
    else:
        values = checked(system, _given(console, system, source, stdin or sys.stdin, start))
    identity = system.identity
    if identity in stored and identity in values and stored[identity] != values[identity]:
        _say(console, f"{identity} changes: what was stored for the other account is dropped.")
    kept = store.update(system.name, values)
    _say(console, f"Stored for {system.title} in {store.path}: {', '.join(kept) or 'nothing'}.")
    note = have_tried({**environment, "NSN_HOME": str(home)}, system.name)
    for told in (*_notes(system, kept, environment), *([note] if note else [])):
        _say(console, f"note: {told}")
    if is_open_to_others(home):
        _say(console, f"note: others can list {home}: chmod 700 {home}")


def list_credentials(
    console: Console, home: Path, environment: Mapping[str, str], *, as_json: bool = False
) -> None:
    """Print which values are stored, redacted."""
    listing = describe_credentials(home, environment)
    if as_json:
        console.out(json.dumps(listing.to_json(), indent=1), highlight=False)
    else:
        _print_listing(console, listing)


def rotate_master_key(
    console: Console,
    home: Path,
    environment: Mapping[str, str],
    *,
    new_key_file: Path | None = None,
) -> None:
    """Encrypt the stored credentials with a new master key; the old one is refused afterwards."""
    store = CredentialStore(home, environment)
    if new_key_file is not None and store.master_key().source is not KeySource.ENVIRONMENT:
        raise ConfigurationError(
            f"a new key file is only for a key given in {VARIABLE}: this one is replaced in place"
        )

    def hand_over(key: SecretStr) -> None:
        if new_key_file is not None:
            create_private(new_key_file.expanduser(), f"{key.get_secret_value()}\n".encode())
            return
        if not console.is_terminal:
            raise ConfigurationError(
                "nothing was changed: the new key would be printed into a file or a log. "
                "Give --new-key-file"
            )
        _say(console, "New master key, shown this once (of no use if this command fails):")
        console.out(key.get_secret_value(), highlight=False)

    rotation = store.rotate(hand_over)
    _say(console, f"{store.path} is encrypted with a new key (id {rotation.new_key_id}).")
    _say(console, _what_to_do(rotation, new_key_file))
    _say(console, "Copies of it made before now still open for whoever has the old key.")


def remove_credentials(
    console: Console, home: Path, environment: Mapping[str, str], system_name: str
) -> bool:
    """Take out what is stored for one system; False when there was nothing."""
    system = system_named(system_name)
    is_removed = CredentialStore(home, environment).remove(system.name)
    what = "Removed what was stored" if is_removed else "Nothing was stored"
    _say(console, f"{what} for {system.title}.")
    return is_removed


def _print_listing(console: Console, listing: Listing) -> None:
    if not listing.exists:
        _say(console, f"Nothing is stored: there is no {listing.file}.")
        return
    _say(console, f"{listing.file}, key {listing.key_id} of {listing.key_source}")
    for name, system in listing.systems.items():
        table = Table(title=Text(f"{SYSTEMS[name].title} ({system.auth})"), box=box.SIMPLE)
        for heading in ("field", "stored", "environment variable"):
            table.add_column(heading)
        for field in system.fields:
            stored = field.shown if field.is_set else "not set"
            if field.name in system.missing:
                stored = "not set, needed"
            variable = f"{field.variable}{' (set: used instead)' if field.is_overridden else ''}"
            table.add_row(field.name, Text(stored), variable)
        console.print(table)
        if system.public_key:
            facts = system.public_key
            _say(console, f"private_key: {facts.kind}, SHA-256 of its public key:")
            _say(console, f"  {facts.fingerprint}")
            if facts.note:
                _say(console, f"note: private_key: {facts.note}")


def _given(
    console: Console, system: System, source: str, stdin: TextIO, folder: Path
) -> dict[str, str]:
    if source == STDIN:
        return parse(stdin.read(), system, folder=folder)
    path = folder / Path(source).expanduser()
    text = None
    try:
        text = path.read_text(encoding="utf-8")
        is_open = is_open_to_others(path)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError:  # carries the content with it
        is_open = False
    if text is None:
        raise ConfigurationError(f"{path} is not text")
    values = parse(text, system, folder=path.parent)
    readable = ", which others can read," if is_open else ""
    _say(console, f"note: {path}{readable} still holds these values: delete it when done")
    return values


def _asked(
    console: Console, system: System, stored: Mapping[str, SecretStr], *, ask: Ask, folder: Path
) -> dict[str, SecretStr]:
    """Ask for what the chosen authentication needs; Enter keeps what is stored."""
    first = _field(system, system.identity)
    values = _answer(console, system, first, stored, ask=ask, folder=folder)
    known = dict(stored)
    if values and values.get(first.name) != stored.get(first.name):
        known = {}  # another account's: nothing of it may be kept
    values |= _answer(console, system, _field(system, "auth"), known, ask=ask, folder=folder)
    asked = [f for f in system.needed(auth_of(system, {**known, **values})) if f is not first]
    for field in (*asked, _field(system, "base_url")):
        values |= _answer(console, system, field, known, ask=ask, folder=folder)
    return values


def _answer(
    console: Console,
    system: System,
    field: Field,
    known: Mapping[str, SecretStr],
    *,
    ask: Ask,
    folder: Path,
) -> dict[str, SecretStr]:
    prompt = _prompt(system, field, known.get(field.name))
    is_file = field.name == "private_key"
    for attempt in range(1, _ATTEMPTS + 1):
        text = ask(prompt, field.is_secret and not is_file)
        if not text.strip():
            return {}
        try:
            value = read_key_file(text, folder=folder) if is_file else text
            return checked(system, {field.name: value})
        except ConfigurationError as error:
            if attempt == _ATTEMPTS:
                raise
            _say(console, str(error))
    return {}


def _prompt(system: System, field: Field, known: SecretStr | None) -> str:
    title, hint = field.title, ""
    if field.name == "auth":
        title, hint = f"{title} ({' or '.join(system.auths)})", system.auths[0]
    if field.name == "private_key":
        title = "Private key, path of its PEM file"
    if field.name == "base_url":
        hint = "from the account"
    if known is not None:
        hint = f"{shown(field, known)}; Enter keeps it"
    return f"{title} [{hint}]: " if hint else f"{title}: "


def _terminal(console: Console) -> Ask:
    def ask(prompt: str, is_hidden: bool) -> str:
        if not sys.stdin.isatty():
            raise ConfigurationError(_NO_TERMINAL)
        try:
            with warnings.catch_warnings():
                # Where echo cannot be switched off, getpass warns and echoes: not with secrets.
                warnings.simplefilter("error", getpass.GetPassWarning)
                return getpass.getpass(prompt) if is_hidden else console.input(Text(prompt))
        except (EOFError, getpass.GetPassWarning):
            pass
        raise ConfigurationError(f"nothing was stored: {_NO_TERMINAL}")

    return ask


def _notes(
    system: System, kept: Mapping[str, SecretStr], environment: Mapping[str, str]
) -> list[str]:
    notes: list[str] = []
    if "private_key" in kept:
        facts = key_facts(kept["private_key"].get_secret_value())
        notes.append(f"private_key is {facts.kind}{'; ' if facts.note else ''}{facts.note}")
    if missing := missing_of(system, kept):
        notes.append(f"{auth_of(system, kept)} also needs {', '.join(missing)}")
    notes += [
        f"{field.variable} is set in the environment and used instead"
        for field in system.fields
        if is_overridden(field.variable, environment)
    ]
    return notes


def _what_to_do(rotation: Rotation, new_key_file: Path | None) -> str:
    if rotation.source is KeySource.FILE:
        old = previous_keys(Path(rotation.where))
        return (
            f"The new key is in {rotation.where} ({FILE_VARIABLE}): keep a copy of that file. The "
            f"old one opens nothing of this NSN_HOME any more. It is in {old} for other NSN_HOMEs "
            f"that share the file: rotate there as well, then delete {old.name}."
        )
    if rotation.source is KeySource.KEYRING:
        return (
            f"The new key is in the keyring ({rotation.where}), for this NSN_HOME alone: nothing "
            "more to do."
        )
    where = f"what is in {new_key_file}" if new_key_file else "the key above"
    return (
        f"Set {VARIABLE} to {where}, wherever nsn and Dagster run, and start them again: "
        "the old key is refused from now on."
    )


def _field(system: System, name: str) -> Field:
    return next(field for field in system.fields if field.name == name)


def _say(console: Console, text: str) -> None:
    """Print as it is: values may look like markup."""
    console.print(Text(text), highlight=False, soft_wrap=True)
