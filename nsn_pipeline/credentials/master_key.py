"""The key that seals the stored credentials, and the places it may come from.

Order: `NSN_MASTER_KEY` (comma list: the first encrypts, all decrypt), `NSN_MASTER_KEY_FILE` (mode
0600), a real OS keyring, else a refusal that says how to make one (docs/facts/runtime.md 5). The
environment is an argument.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from nsn_pipeline.credentials.os_keyring import Keyring, find_os_keyring
from nsn_pipeline.credentials.previous_keys import previous_keys, read_previous, write_previous
from nsn_pipeline.credentials.private_files import read_private, replace_private
from nsn_pipeline.errors import ConfigurationError

VARIABLE = "NSN_MASTER_KEY"
FILE_VARIABLE = "NSN_MASTER_KEY_FILE"
_KEY_BYTES = 32
MAKE_A_KEY = (
    # `set -C` keeps the shell from emptying a key file that is there.
    '(umask 077; set -C; python -c "from cryptography.fernet import Fernet; '
    'print(Fernet.generate_key().decode())" > ~/nsn-master.key)'
)
NO_MASTER_KEY = (
    "there is no master key to encrypt the stored credentials with. Make one:\n"
    f"  {MAKE_A_KEY}\n"
    f"and set {FILE_VARIABLE}=~/nsn-master.key, or {VARIABLE} to what is in it. Keep a copy: "
    "without the key the stored credentials cannot be read."
)


class KeySource(StrEnum):
    """Where a master key came from, and so where a new one must go."""

    ENVIRONMENT = "environment"
    FILE = "file"
    KEYRING = "keyring"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One or more Fernet keys from one source; `where` names the source for people."""

    source: KeySource
    where: str
    keys: tuple[SecretStr, ...] = field(repr=False)
    keyring: Keyring | None = field(default=None, repr=False, compare=False)
    # Keys of this source that the home refuses since it was rotated: by id, since which day.
    refused: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, compare=False)

    @property
    def key_id(self) -> str:
        """Names the key that encrypts, and tells nothing else about it."""
        return self.key_ids[0]

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(_key_id(key) for key in self.keys)

    def seal(self, content: bytes) -> bytes:
        return self._cipher().encrypt(content)

    def open_sealed(self, sealed: bytes) -> bytes | None:
        """The content, or None when no key fits or the content was altered."""
        try:
            return self._cipher().decrypt(sealed)
        except InvalidToken:
            return None

    def replaced_by(self, new: SecretStr) -> "MasterKey":
        return MasterKey(self.source, self.where, (new,), self.keyring)

    def stage(self, new: SecretStr) -> None:
        """Put the new key before the old ones where they are kept: whatever follows can be read."""
        self._keep((new, *self.keys))

    def set_aside(self) -> None:
        """Keep the keys of a file beside it: other NSN_HOMEs may share that file."""
        if self.source is KeySource.FILE:
            path = Path(self.where)
            kept = read_previous(path).with_keys(key.get_secret_value() for key in self.keys)
            write_previous(path, kept)

    def refuse_previous(self, home: Path, day: date) -> None:
        """None of the keys beside a key file opens anything of this home from now on."""
        if self.source is KeySource.FILE:
            path = Path(self.where)
            previous = read_previous(path)
            ids = [_key_id(SecretStr(key)) for key in previous.keys]
            write_previous(path, previous.refusing(home, ids, day.isoformat()))

    def settle(self, new: SecretStr) -> None:
        """Drop the old keys where they are kept."""
        self._keep((new,))

    def _keep(self, keys: tuple[SecretStr, ...]) -> None:
        text = ",".join(key.get_secret_value() for key in keys)
        if self.source is KeySource.FILE:
            replace_private(Path(self.where), f"{text}\n".encode())
        elif self.keyring is not None:
            self.keyring.put(text)

    def _cipher(self) -> MultiFernet:
        return MultiFernet([Fernet(key.get_secret_value()) for key in self.keys])


def find_master_key(
    environment: Mapping[str, str],
    *,
    create: bool = False,
    find_keyring: Callable[[], Keyring | None] = find_os_keyring,
    home: Path | None = None,
) -> MasterKey:
    """The master key. `create` may make one in an OS keyring, where nothing has to be set up.

    `home`, whose key this is, may refuse keys that a rotation has replaced.

    Raises ConfigurationError when there is none, or when what is given is not one.
    """
    if environment.get(VARIABLE):
        keys = _parsed(environment[VARIABLE], VARIABLE)
        return MasterKey(KeySource.ENVIRONMENT, VARIABLE, keys)
    if environment.get(FILE_VARIABLE):
        path = Path(environment[FILE_VARIABLE]).expanduser().absolute()
        return _file_key(path, home)
    keyring = find_keyring()
    if keyring is None:
        raise ConfigurationError(NO_MASTER_KEY)
    text = keyring.get()
    if not text and create:
        text = new_key().get_secret_value()
        keyring.put(text)
    if not text:
        raise ConfigurationError(
            f"the keyring ({keyring.name}) holds none yet, and {NO_MASTER_KEY}"
        )
    return MasterKey(KeySource.KEYRING, keyring.name, _parsed(text, keyring.name), keyring)


def new_key() -> SecretStr:
    return SecretStr(Fernet.generate_key().decode())


def _file_key(path: Path, home: Path | None) -> MasterKey:
    """The file's keys, then those a rotation in another NSN_HOME replaced: they only decrypt."""
    keys = _parsed(_file_text(path), str(path))
    previous = read_previous(path)
    refused = previous.refused_by(home)
    if _key_id(keys[0]) in refused:  # what is sealed with it could not be read again
        raise ConfigurationError(
            f"{path} holds a key that this NSN_HOME refuses since {refused[_key_id(keys[0])]}: "
            "`nsn credentials rotate` replaced it then. Nothing was changed. Restore the key file "
            f"as it was since then; if that key is lost, make a new one ({MAKE_A_KEY}) and set the "
            "credentials again"
        )
    if previous.keys:
        old = _parsed(",".join(previous.keys), str(previous_keys(path)))
        keys += tuple(key for key in old if _key_id(key) not in refused)
    return MasterKey(KeySource.FILE, str(path), tuple(dict.fromkeys(keys)), refused=refused)


def _file_text(path: Path) -> str:
    try:
        return read_private(path).decode("ascii", errors="replace")
    except FileNotFoundError:
        pass
    raise ConfigurationError(
        f"{FILE_VARIABLE}: there is no file {path}. Make a key:\n  {MAKE_A_KEY}"
    )


def _parsed(text: str, where: str) -> tuple[SecretStr, ...]:
    keys = tuple(SecretStr(part.strip()) for part in text.split(",") if part.strip())
    if not keys or not all(map(_is_key, keys)):
        raise ConfigurationError(
            f"{where} does not hold a master key (32 bytes in URL-safe base64, several separated "
            f"by commas). Make one:\n  {MAKE_A_KEY}"
        )
    return keys


def _is_key(key: SecretStr) -> bool:
    """Stricter than Fernet, which ignores what follows the key: one key must have one id."""
    text = key.get_secret_value()
    try:
        content = base64.urlsafe_b64decode(text)
    except ValueError:  # not chained to anything: it may quote the key
        return False
    return len(content) == _KEY_BYTES and base64.urlsafe_b64encode(content).decode() == text


def _key_id(key: SecretStr) -> str:
    # A hash of 256 random bits cannot be searched; the prefix keeps it apart from any other hash.
    return hashlib.sha256(f"nsn master key {key.get_secret_value()}".encode()).hexdigest()[:12]
