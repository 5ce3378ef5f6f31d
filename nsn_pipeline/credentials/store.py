"""`NSN_HOME/credentials.enc`: the credentials of both systems, encrypted with the master key.

Readers take no lock: the file is replaced whole. Changes hold a kernel lock from reading to
writing, so that of two processes neither loses what the other stored. A file that cannot be read is
never written over.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from nsn_pipeline.clients.accounts import netsuite_account, servicenow_instance
from nsn_pipeline.credentials.fields import SYSTEMS, System
from nsn_pipeline.credentials.master_key import (
    KeySource,
    MasterKey,
    find_master_key,
    new_key,
)
from nsn_pipeline.credentials.os_keyring import Keyring, find_os_keyring
from nsn_pipeline.credentials.private_files import (
    prepare_directory,
    read_private,
    replace_private,
)
from nsn_pipeline.credentials.sealed_file import (
    Entries,
    WrongKeyError,
    open_envelope,
    read_envelope,
    to_bytes,
)
from nsn_pipeline.errors import ConfigurationError, UnreachableError
from nsn_pipeline.state.file_locks import Deadline, exclusive

FILE_NAME = "credentials.enc"
LOCK_NAME = "credentials.lock"
LOCK_WAIT_S = 30.0  # a change takes milliseconds: prompts are answered before it begins

HandOver = Callable[[SecretStr], None]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: where the key was and is kept, and the ids of the two keys."""

    source: KeySource
    where: str
    old_key_id: str
    new_key_id: str


class CredentialStore:
    """The stored credentials of one NSN_HOME."""

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str],
        *,
        find_keyring: Callable[[], Keyring | None] | None = None,
    ) -> None:
        self.path = home / FILE_NAME
        self._environment = environment
        self._find_keyring = find_keyring or partial(find_os_keyring, home)

    def exists(self) -> bool:
        return self.path.exists() or self.path.is_symlink()

    def master_key(self, *, create: bool = False) -> MasterKey:
        return find_master_key(
            self._environment,
            create=create,
            find_keyring=self._find_keyring,
            home=self.path.parent,
        )

    def ensure_master_key(self) -> None:
        """Raise ConfigurationError when a change could not be encrypted."""
        with self._changing():
            self.master_key(create=not self.exists())

    def read(self) -> Entries:
        """All entries; none, and no key asked for, when nothing is stored."""
        try:
            return self._read_once()
        except WrongKeyError:
            # A rotation may have come between reading the file and reading the key.
            return self._read_once()

    def update(self, system: str, values: Mapping[str, SecretStr]) -> dict[str, SecretStr]:
        """Store a system's `values` and return all it has then.

        Fields not given stay, an empty value takes its field out, and naming another account starts
        afresh: nobody's secret is to be sent to someone else.
        """
        with self._changing():
            entries = self.read()
            key = self.master_key(create=not self.exists())
            kept = entries.get(system, {})
            identity = SYSTEMS[system].identity
            if identity in values and identity in kept and values[identity] != kept[identity]:
                kept = {}
            merged = {n: v for n, v in {**kept, **values}.items() if v.get_secret_value()}
            self._write({**entries, system: merged}, key)
            return merged

    def remove(self, system: str) -> bool:
        """Take out all entries of a system; False when it had none."""
        if not self.exists():
            return False
        with self._changing():
            entries = self.read()
            if entries.pop(system, None) is None:
                return False
            self._write(entries, self.master_key() if entries else None)
            return True

    def rotate(
        self, hand_over: HandOver, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> Rotation:
        """Encrypt everything with a new key; the old one opens nothing afterwards.

        The new key is kept beside the old one until the file is written: whenever this is
        interrupted, the keys that are kept open the file, and it can be run again. A key of the
        environment is the caller's to keep: `hand_over` gets it before anything is written.
        """
        if not self.exists():
            raise ConfigurationError(
                f"there is no {self.path}: nothing is encrypted with the master key"
            )
        with self._changing(), self._alone_with_the_key():
            entries = self.read()
            old, new = self.master_key(), new_key()
            replacement = old.replaced_by(new)
            if old.source is KeySource.ENVIRONMENT:
                hand_over(new)
            else:
                old.stage(new)
                old.set_aside()
            self._write(entries, replacement)
            if old.source is not KeySource.ENVIRONMENT:
                old.refuse_previous(self.path.parent, now().date())
                old.settle(new)
            return Rotation(old.source, old.where, old.key_id, replacement.key_id)

    def _read_once(self) -> Entries:
        try:
            content = read_private(self.path)
        except FileNotFoundError:
            return {}
        envelope = read_envelope(content, str(self.path))
        return open_envelope(envelope, self.master_key(), str(self.path))

    def _write(self, entries: Entries, key: MasterKey | None) -> None:
        if key is None:
            self.path.unlink(missing_ok=True)
        else:
            replace_private(self.path, to_bytes(entries, key))

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        prepare_directory(self.path.parent)
        with _locked(self.path.with_name(LOCK_NAME), self.path):
            yield

    @contextlib.contextmanager
    def _alone_with_the_key(self) -> Iterator[None]:
        """Of two homes that share a key file one rotates: neither loses the key of the other."""
        key = self.master_key()
        if key.source is not KeySource.FILE:
            yield
            return
        path = Path(key.where).resolve()
        with _locked(path.with_name(f"{path.name}.lock"), path):
            yield


@contextlib.contextmanager
def _locked(lock: Path, what: Path) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(exclusive(lock, Deadline(LOCK_WAIT_S)))
        except UnreachableError as error:
            raise ConfigurationError(
                f"another nsn has been changing {what} for {LOCK_WAIT_S:g} s: try again"
            ) from error
        except OSError as error:
            raise ConfigurationError(f"cannot lock {lock.parent}: {error.strerror}") from error
        yield


def load(
    home: Path,
    environment: Mapping[str, str],
    *,
    find_keyring: Callable[[], Keyring | None] | None = None,
) -> dict[str, str]:
    """What is stored, by environment variable name, without what the environment itself gives.

    Nothing, and no master key asked for, when there is no file. A system for which the environment
    names another account is left out: its secrets belong to the stored account.
    """
    found: dict[str, str] = {}
    for name, values in (
        CredentialStore(home, environment, find_keyring=find_keyring).read().items()
    ):
        system = SYSTEMS.get(name)
        if system is None or not _is_same_account(system, values, environment):
            continue
        for field in system.fields:
            if field.name in values and not is_overridden(field.variable, environment):
                found[field.variable] = values[field.name].get_secret_value()
    return found


def is_overridden(variable: str, environment: Mapping[str, str]) -> bool:
    """Whether the environment gives this value itself, or as the path of a file."""
    return bool(environment.get(variable) or environment.get(f"{variable}_PATH"))


def _is_same_account(
    system: System, values: Mapping[str, SecretStr], environment: Mapping[str, str]
) -> bool:
    given = environment.get(f"{system.name}_{system.identity}".upper())
    stored = values.get(system.identity)
    if not given or stored is None:
        return True
    read = {"account_id": netsuite_account, "instance": servicenow_instance}[system.identity]
    try:
        return read(given) == read(stored.get_secret_value())
    except ConfigurationError:
        return False
