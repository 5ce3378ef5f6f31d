"""From a NetSuite account or department to the ServiceNow row with its code. Never guesses.

Order: an override of `mappings/*.csv`, the most specific first, then the same code in ServiceNow,
then a rejection. Codes are compared as texts: "0712" is not "712". Names are never compared.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.records.arrow import pc

CrosswalkKind = Literal["gl_account", "cost_center"]
Method = Literal["override", "exact", "unmapped"]

OVERRIDE_COLUMNS = (
    "netsuite_id",
    "netsuite_code",
    "subsidiary_id",
    "servicenow_code",
    "valid_from",
    "valid_to",
    "owner",
    "note",
)
Days = npt.NDArray[np.int64]

_TEXT = pd.ArrowDtype(pa.string())
_EPOCH = date(1970, 1, 1).toordinal()
_NO_DAY = -(2**40)
_FALSE = frozenset({"false", "0", "f"})


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where one account or department lands on one day; `reason` says why nowhere."""

    code: str | None
    target_code: str | None
    sys_id: str | None
    reason: Reason | None
    method: Method
    override: "Override | None" = field(default=None, compare=False)  # the line that led there


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """One ServiceNow GL account or cost center."""

    code: str
    sys_id: str
    name: str
    active: bool
    valid_from: date | None
    valid_to: date | None

    def holds(self, day: date | None) -> bool:
        """Whether the row is valid on this day, active or not."""
        return _holds(self.valid_from, self.valid_to, day)


@dataclass(frozen=True, slots=True)
class Override:
    """One line of a mapping file: by internal id or code, for one subsidiary or for all."""

    netsuite_id: str | None
    netsuite_code: str | None
    subsidiary_id: str | None
    servicenow_code: str
    valid_from: date | None
    valid_to: date | None
    line: int = 0  # of the file, for messages

    @property
    def subject(self) -> str:
        """What the line maps, as its file names it: `7160`, or `id 642`."""
        return f"id {self.netsuite_id}" if self.netsuite_id else self.netsuite_code or ""

    def applies(self, day: date | None) -> bool:
        """A dated override needs a dated document."""
        if day is None:
            return self.valid_from is None and self.valid_to is None
        return _holds(self.valid_from, self.valid_to, day)


@dataclass(slots=True)
class Crosswalk:
    """All that is known about one kind of reference in this run."""

    kind: CrosswalkKind
    codes: Mapping[str, str | None]  # NetSuite internal id -> code
    names: Mapping[str, str]
    rows: Mapping[str, tuple[ReferenceRow, ...]]  # ServiceNow code -> rows
    overrides: tuple[Override, ...]
    _by_key: dict[tuple[str, str, str | None], list[Override]] = field(init=False)
    _boundaries: Days = field(init=False)

    def __post_init__(self) -> None:
        self._by_key = defaultdict(list)
        for override in self.overrides:
            how = "id" if override.netsuite_id else "code"
            key = override.netsuite_id or override.netsuite_code or ""
            self._by_key[how, key, override.subsidiary_id].append(override)
        self._boundaries = _boundaries(self.rows, self.overrides)

    @classmethod
    def build(
        cls,
        kind: CrosswalkKind,
        dimension: pd.DataFrame,
        reference: pd.DataFrame,
        overrides: pd.DataFrame,
        code_column: str,
    ) -> "Crosswalk":
        """`dimension` is canonical, `reference` as `references.reference_frame` gives it.

        In `reference` only code and sys_id must be there; what is empty restricts nothing.
        """
        ids = _texts(dimension, "internal_id")
        codes = _texts(dimension, code_column)
        names = _first_of(dimension, ("full_name", "name", "display_name"))
        rows: dict[str, dict[str, ReferenceRow]] = defaultdict(dict)
        for row in _reference_rows(reference):
            rows[row.code][row.sys_id] = row  # a row read twice is still one row
        return cls(
            kind=kind,
            codes={key: code or None for key, code in zip(ids, codes, strict=True) if key},
            names={key: name or "" for key, name in zip(ids, names, strict=True) if key},
            rows={code: tuple(found.values()) for code, found in rows.items()},
            overrides=tuple(_overrides(overrides)),
        )

    def resolve_one(
        self, internal_id: str | None, subsidiary_id: str | None, day: date | None
    ) -> Resolution:
        """Where one reference lands; a null id is nothing to resolve, not a fault."""
        if not internal_id:
            return Resolution(None, None, None, None, "unmapped")
        code = self.codes.get(internal_id)
        for key in (
            ("id", internal_id, subsidiary_id),
            ("code", code, subsidiary_id),
            ("id", internal_id, None),
            ("code", code, None),
        ):
            found = self._applicable(key, day)
            if found:
                targets = {override.servicenow_code for override in found}
                if len(targets) > 1:  # an overlap that no mapping file passes the loader with
                    return Resolution(code, None, None, self.reason("AMBIGUOUS"), "override")
                return replace(self._find(code, targets.pop(), day, "override"), override=found[0])
        if code is None or code not in self.rows:
            return Resolution(code, None, None, self.reason("MISSING"), "unmapped")
        return self._find(code, code, day, "exact")

    def resolve(self, ids: pd.Series, subsidiary_ids: pd.Series, dates: pd.Series) -> pd.DataFrame:
        """code, target_code, sys_id, reason, method for every input row, aligned with `ids`.

        Each distinct (id, subsidiary, validity period) is worked out once.
        """
        days = _day_numbers(dates)
        periods = np.searchsorted(self._boundaries, days, side="right")
        asked = pd.DataFrame(
            {
                "id": ids.to_numpy(object, na_value=None),
                "subsidiary": subsidiary_ids.to_numpy(object, na_value=None),
                "period": np.where(days == _NO_DAY, -1, periods),
            }
        )
        number = asked.groupby(list(asked.columns), dropna=False, sort=False).ngroup().to_numpy()
        distinct = asked.assign(day=days, number=number).drop_duplicates("number")
        found = [
            self.resolve_one(_known(key), _known(subsidiary), _date(day))
            for key, subsidiary, day in zip(
                distinct["id"], distinct["subsidiary"], distinct["day"].tolist(), strict=True
            )
        ]
        table = pd.DataFrame(
            {
                "code": [one.code for one in found],
                "target_code": [one.target_code for one in found],
                "sys_id": [one.sys_id for one in found],
                "reason": [None if one.reason is None else one.reason.value for one in found],
                "method": [one.method for one in found],
            },
            dtype=_TEXT,
        )
        return table.take(number).set_axis(ids.index)

    def reason(self, what: Literal["MISSING", "INACTIVE", "EXPIRED", "AMBIGUOUS"]) -> Reason:
        return Reason[f"{what}_{self.kind.upper()}"]

    def reference(self, internal_id: str) -> str:
        """What replay looks for: "gl_account:7160", or "gl_account:#642" when there is no code."""
        return f"{self.kind}:{self.codes.get(internal_id) or '#' + internal_id}"

    def cured(self, reference: str, on: date) -> bool:
        """Whether a `Problem.reference` of this kind now resolves, for any subsidiary."""
        kind, _, key = reference.partition(":")
        if kind != self.kind:
            return False
        ids = [key[1:]] if key.startswith("#") else self._ids_of(key)
        offices = {None, *(override.subsidiary_id for override in self.overrides)}
        return any(
            self.resolve_one(internal_id, office, on).sys_id
            for internal_id in ids
            for office in offices
        )

    def coverage(self, on: date) -> pd.DataFrame:
        """One row per NetSuite row, and one more per subsidiary that has its own override.

        internal_id, subsidiary_id (empty = everywhere), code, name, method, target_code, sys_id,
        reason.
        """
        asked = [
            (internal_id, office)
            for internal_id, code in self.codes.items()
            for office in (None, *self._offices_of(internal_id, code))
        ]
        found = [self.resolve_one(internal_id, office, on) for internal_id, office in asked]
        return pd.DataFrame(
            {
                "internal_id": [internal_id for internal_id, _ in asked],
                "subsidiary_id": [office for _, office in asked],
                "code": [one.code for one in found],
                "name": [self.names.get(internal_id) for internal_id, _ in asked],
                "method": [one.method for one in found],
                "target_code": [one.target_code for one in found],
                "sys_id": [one.sys_id for one in found],
                "reason": [None if one.reason is None else one.reason.value for one in found],
            },
            dtype=_TEXT,
        )

    def dangling(self) -> list[Override]:
        """Overrides whose ServiceNow code does not exist there."""
        return [o for o in self.overrides if o.servicenow_code not in self.rows]

    def subjectless(self) -> list[Override]:
        """Overrides of something NetSuite does not show: no document can need them."""
        known = set(self.codes.values())
        return [
            o
            for o in self.overrides
            if (o.netsuite_id not in self.codes if o.netsuite_id else o.netsuite_code not in known)
        ]

    def _ids_of(self, code: str) -> list[str]:
        return [internal_id for internal_id, own in self.codes.items() if own == code]

    def _offices_of(self, internal_id: str, code: str | None) -> list[str]:
        """Subsidiaries with an override of their own for this row."""
        keys = {("id", internal_id), ("code", code)}
        found = {office for how, key, office in self._by_key if (how, key) in keys}
        return sorted(office for office in found if office)

    def _applicable(
        self, key: tuple[str, str | None, str | None], day: date | None
    ) -> list[Override]:
        how, value, subsidiary = key
        if value is None:
            return []
        return [o for o in self._by_key.get((how, value, subsidiary), ()) if o.applies(day)]

    def _find(self, code: str | None, target: str, day: date | None, method: Method) -> Resolution:
        rows = self.rows.get(target, ())
        active = [row for row in rows if row.active]
        usable = [row for row in active if row.holds(day)]
        if len(usable) == 1:
            return Resolution(code, target, usable[0].sys_id, None, method)
        what = "EXPIRED" if active else "INACTIVE" if rows else "MISSING"
        return Resolution(code, target, None, self.reason("AMBIGUOUS" if usable else what), method)


def _holds(valid_from: date | None, valid_to: date | None, day: date | None) -> bool:
    """Both ends belong to the period; without a day, no period can be judged, so it holds."""
    if day is None:
        return True
    return (valid_from is None or valid_from <= day) and (valid_to is None or day <= valid_to)


def _boundaries(
    rows: Mapping[str, tuple[ReferenceRow, ...]], overrides: Iterable[Override]
) -> Days:
    """First days, counted from 1970, on which any answer may change."""
    dated: list[ReferenceRow | Override] = [row for found in rows.values() for row in found]
    dated.extend(overrides)
    starts = {one.valid_from.toordinal() - _EPOCH for one in dated if one.valid_from}
    after = {one.valid_to.toordinal() + 1 - _EPOCH for one in dated if one.valid_to}
    return np.array(sorted(starts | after), np.int64)


def _day_numbers(dates: pd.Series) -> Days:
    """Days counted from 1970; `_NO_DAY` where there is no date."""
    values = pa.array(dates, pa.date32(), from_pandas=True)
    numbers = pc.fill_null(values.cast(pa.int32()).cast(pa.int64()), _NO_DAY)
    return numbers.to_numpy(zero_copy_only=False)


def _date(number: int) -> date | None:
    return None if number == _NO_DAY else date.fromordinal(number + _EPOCH)


def _reference_rows(reference: pd.DataFrame) -> Iterable[ReferenceRow]:
    for code, sys_id, name, active, start, end in zip(
        _texts(reference, "code"),
        _texts(reference, "sys_id"),
        _texts(reference, "name"),
        _texts(reference, "active"),
        _texts(reference, "valid_from"),
        _texts(reference, "valid_to"),
        strict=True,
    ):
        if code and sys_id:
            usable = (active or "").lower() not in _FALSE
            yield ReferenceRow(code, sys_id, name or "", usable, _day(start), _day(end))


def _overrides(frame: pd.DataFrame) -> Iterable[Override]:
    """The frame's index holds the lines of the file."""
    columns = [_texts(frame, name) for name in OVERRIDE_COLUMNS[:6]]
    lines: list[int] = list(frame.index)
    for line, internal_id, code, subsidiary, target, start, end in zip(
        lines, *columns, strict=True
    ):
        yield Override(
            internal_id or None,
            code or None,
            subsidiary or None,
            target or "",
            _day(start),
            _day(end),
            line,
        )


def _texts(frame: pd.DataFrame, name: str) -> list[str | None]:
    if name not in frame.columns:
        return [None] * len(frame)
    return [None if pd.isna(value) else str(value) for value in frame[name].to_list()]


def _first_of(frame: pd.DataFrame, names: Iterable[str]) -> list[str | None]:
    columns = [_texts(frame, name) for name in names]
    return [next((text for text in texts if text), None) for texts in zip(*columns, strict=True)]


def _day(text: str | None) -> date | None:
    """The day of a ServiceNow date or date-time; none when there is none to read."""
    try:
        return date.fromisoformat((text or "")[:10])
    except ValueError:
        return None


def _known(value: object) -> str | None:
    return value if isinstance(value, str) else None
