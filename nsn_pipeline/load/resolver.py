"""From `ref:<record type>:<external key>` to the sys_id of the record that carries the key.

Filled first from what this run has loaded, then by bulk look-ups; each key is looked up once. A
record that our role does not see is not absent: what refers to it is not written without it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.load.compare import received
from nsn_pipeline.load.plan import is_safe_key
from nsn_pipeline.profiles.model import Target

_PREFIX = "ref:"


class Rows(Protocol):
    """Rows per value that was looked up, and the values of which rows are hidden from our role."""

    @property
    def rows(self) -> Mapping[str, Sequence[Mapping[str, object]]]: ...
    @property
    def hidden(self) -> Collection[str]: ...


class LookUp(Protocol):
    """A look-up that others wait beside: a run's `Loader`, which keeps to the run's pace."""

    def find(self, table: str, key: str, values: Sequence[str], fields: Sequence[str]) -> Rows: ...


class Found(NamedTuple):
    """The answer for one reference: none, one, or (never picked from) several records.

    With `hidden` there are rows under the key that our role does not see: nothing is known then.
    """

    sys_ids: tuple[str, ...]
    hidden: bool = False

    @property
    def sys_id(self) -> str | None:
        return self.sys_ids[0] if len(self.sys_ids) == 1 and not self.hidden else None


_ABSENT = Found(())


def line_type(record_type: str) -> str:
    """The name under which the lines of a record type are referred to."""
    return f"{record_type}_line"


def parse_reference(text: str, *, parent_type: str) -> tuple[str, str]:
    """`ref:vendor:451` -> ("vendor", "451"); `parent` means the record type of the header."""
    record_type, _, key = text.removeprefix(_PREFIX).partition(":")
    return (parent_type if record_type == "parent" else record_type), key


def is_reference(value: str) -> bool:
    return value.startswith(_PREFIX)


class Resolver:
    """One per run: what one table learns, all later tables know."""

    def __init__(self, look_up: LookUp, targets: Mapping[str, Target]) -> None:
        self._look_up = look_up
        self._places: dict[str, tuple[str, str]] = {}
        for record_type, target in targets.items():
            self._places[record_type] = (target.table, target.external_key)
            if target.lines is not None:
                place = (target.lines.table, target.lines.external_key)
                self._places[line_type(record_type)] = place
        self._known: dict[str, dict[str, Found]] = defaultdict(dict)

    def learn(self, record_type: str, sys_ids: Mapping[str, str]) -> None:
        """Remember records that are known to exist; replaces an earlier "not there"."""
        known = self._known[record_type]
        known.update({key: Found((sys_id,)) for key, sys_id in sys_ids.items() if sys_id})

    def fetch(self, references: Iterable[tuple[str, str]]) -> None:
        """Look up every (record type, key) not known yet, one bulk read per table."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for record_type, key in references:
            if key not in self._known[record_type]:
                wanted[record_type].add(key)
        for record_type, keys in wanted.items():
            if record_type not in self._places:
                raise ConfigurationError(
                    f"a column refers to {record_type}, which the profile does not load"
                )
            table, external_key = self._places[record_type]
            safe = sorted(key for key in keys if is_safe_key(key))
            found = self._look_up.find(table, external_key, safe, ("sys_id", external_key))
            known = self._known[record_type]
            for key in keys:
                sys_ids = (received(row.get("sys_id")) for row in found.rows.get(key, ()))
                known[key] = Found(tuple(sorted(sys_ids)), key in found.hidden)

    def find(self, record_type: str, key: str) -> Found:
        """What is known after `fetch`."""
        return self._known[record_type].get(key, _ABSENT)

    def place(self, record_type: str) -> tuple[str, str]:
        """Table and external key column of a record type."""
        return self._places[record_type]

    def resolve(self, text: str, *, parent_type: str = "") -> str | None:
        """The sys_id of one reference, or None when there is not exactly one such record."""
        record_type, key = parse_reference(text, parent_type=parent_type)
        self.fetch([(record_type, key)])
        return self.find(record_type, key).sys_id
