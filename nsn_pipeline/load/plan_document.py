"""A plan as plain data: what a sync of some days would change, to read, to keep and to carry out.

Pure. The format is `nsn-plan/1`; a reader refuses any other. The digest covers everything else in
the document, so that a file that was edited is not taken for the plan somebody agreed to.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any, cast, get_args

import orjson

from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.load.plan import Change, Kind

FORMAT = "nsn-plan/1"
WRITING: tuple[Kind, ...] = ("create", "update", "retire")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a plan was made for. `mapping` stands for the profile and the overrides as they were."""

    account: str
    instance: str
    profile: str
    mapping: str
    first_day: str
    last_day: str
    only: tuple[str, ...] = ()
    days_per_run: int = 31
    allow_retire: int = 0


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One change, and the table it is for."""

    record_type: str
    table: str
    change: Change

    @property
    def identity(self) -> tuple[str, str]:
        return self.table, self.change.key


@dataclass(frozen=True, slots=True)
class Failing:
    """A document that passed the gate and could not be written as ServiceNow is now."""

    record_type: str
    document_id: str
    reasons: tuple[str, ...]
    remedy: str


@dataclass(slots=True)
class PlanDocument:
    """A whole plan. `counts` per table and kind include what stays as it is; `changes` do not."""

    scope: Scope
    made_at: str
    runs: list[str] = field(default_factory=list[str])
    counts: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    changes: list[PlannedChange] = field(default_factory=list[PlannedChange])
    failing: list[Failing] = field(default_factory=list[Failing])
    differs: dict[str, int] = field(default_factory=dict[str, int])  # compared only: table.column

    @property
    def writes(self) -> int:
        return len(self.changes)

    def fields(self) -> dict[str, int]:
        """How many records change in a column (`table.column`); new records are not counted."""
        found: Counter[str] = Counter()
        for one in self.changes:
            if one.change.kind != "create":
                found.update(f"{one.table}.{column}" for column in one.change.values)
        return dict(found.most_common())

    def to_json(self) -> dict[str, Any]:
        """Plain data with its digest."""
        body: dict[str, Any] = {
            "format": FORMAT,
            "made_at": self.made_at,
            "scope": asdict(self.scope) | {"only": list(self.scope.only)},
            "runs": self.runs,
            "counts": self.counts,
            "fields": self.fields(),
            "differs": self.differs,
            "failing": [asdict(one) | {"reasons": list(one.reasons)} for one in self.failing],
            "changes": [_change_json(one) for one in self.changes],
        }
        return body | {"digest": digest_of(body)}

    def text(self) -> bytes:
        """The document as it is saved: JSON with one change a line, for people and for `diff`."""
        body = self.to_json()
        changes = body.pop("changes")
        head = orjson.dumps(body, option=orjson.OPT_INDENT_2).removesuffix(b"\n}")
        lines = b",\n".join(b"    " + orjson.dumps(one) for one in changes)
        return head + b',\n  "changes": [\n' + lines + b"\n  ]\n}\n"


def digest_of(body: Mapping[str, Any]) -> str:
    """The digest of a document, whatever order its keys came in."""
    kept = {name: value for name, value in body.items() if name != "digest"}
    return blake2b(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def read_plan(text: bytes, shown: str) -> PlanDocument:
    """The plan of a saved file. Raises ConfigurationError for one that is not as it was saved."""
    try:
        body: Any = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"{shown} is not a plan: {error}") from error
    found = body.get("format") if isinstance(body, dict) else None
    if found != FORMAT:
        raise ConfigurationError(f"{shown} is not a plan this version reads ({FORMAT}): {found!r}")
    if body.get("digest") != digest_of(body):
        raise ConfigurationError(f"{shown} was changed after it was saved: plan again")
    try:
        scope = body["scope"]
        return PlanDocument(
            scope=Scope(**scope | {"only": tuple(scope["only"])}),
            made_at=body["made_at"],
            runs=body["runs"],
            counts=body["counts"],
            changes=[_change_of(one) for one in body["changes"]],
            failing=[
                Failing(**one | {"reasons": tuple(one["reasons"])}) for one in body["failing"]
            ],
            differs=body["differs"],
        )
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"{shown} is not a whole plan: {error}") from error


def _change_json(one: PlannedChange) -> dict[str, Any]:
    change = one.change
    return {
        "record_type": one.record_type,
        "table": one.table,
        "kind": change.kind,
        "key": change.key,
        "document_id": change.document_id,
        "sys_id": change.sys_id,
        "values": change.values,
        "before": change.before,
        **({"converted": change.converted} if change.converted else {}),
    }


def _change_of(data: Mapping[str, Any]) -> PlannedChange:
    kind = data["kind"]
    if kind not in get_args(Kind):
        raise KeyError(kind)
    change = Change(
        kind=cast("Kind", kind),
        key=data["key"],
        document_id=data["document_id"],
        sys_id=data["sys_id"],
        values=dict(data["values"]),
        before=dict(data["before"]),
        converted=tuple(data.get("converted", ())),
    )
    return PlannedChange(data["record_type"], data["table"], change)


class Approved:
    """The changes of a plan that somebody agreed to; no others are carried out."""

    def __init__(self, changes: Iterable[PlannedChange]) -> None:
        self._changes = {one.identity: one.change for one in changes}

    def permits(self, table: str, change: Change, *, is_follow_up: bool) -> bool:
        """Whether the change is the one agreed to.

        A follow-up completes a change of ours that ServiceNow has not kept whole (a default in a
        column that must be empty, say): it may bring agreed values only.
        """
        agreed = self._changes.get((table, change.key))
        if agreed is None:
            return False
        if is_follow_up:
            return agreed.sys_id == change.sys_id and change.values.items() <= agreed.values.items()
        return agreed.is_same(change)


@dataclass(frozen=True, slots=True)
class Moved:
    """One record for which another change would be made now than was planned."""

    table: str
    key: str
    planned: Change | None
    now: Change | None

    def lines(self) -> Iterator[str]:
        """What moved, for a person."""
        planned, now = self.planned, self.now
        if now is None and planned is not None:
            yield f"{planned.kind} was planned, and there is nothing to {planned.kind} any more"
        elif planned is None and now is not None:
            yield f"{now.kind} was not planned"
        elif planned is not None and now is not None:
            if planned.kind != now.kind or planned.sys_id != now.sys_id:
                yield f"planned was {_named(planned)}, now it would be {_named(now)}"
            for column in dict.fromkeys((*planned.values, *now.values)):
                yield from _moved_column(column, planned, now)


def moved(planned: Sequence[PlannedChange], now: Sequence[PlannedChange]) -> list[Moved]:
    """Every record for which the two differ, in the order of the first."""
    before = {one.identity: one.change for one in planned}
    after = {one.identity: one.change for one in now}
    found = (
        Moved(*identity, before.get(identity), after.get(identity))
        for identity in dict.fromkeys((*before, *after))
    )
    return [
        one
        for one in found
        if one.planned is None or one.now is None or not one.planned.is_same(one.now)
    ]


def _named(change: Change) -> str:
    return f"{change.kind} of {change.sys_id}"


def _moved_column(column: str, planned: Change, now: Change) -> Iterator[str]:
    if column in {*planned.converted, *now.converted} and (
        planned.values.get(column) == now.values.get(column)
    ):
        return  # shown differently, and the same
    said, says = (_step(column, change) for change in (planned, now))
    if said != says:
        yield f"{column}: planned {said}, now {says}"


def _step(column: str, change: Change) -> str:
    if column not in change.values:
        return "no change"
    return f"{change.before.get(column, '')!r} -> {change.values[column]!r}"
