"""What the steps write into the audit trail: the gate's verdicts, and what became of each load."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, TypedDict

from nsn_pipeline.audit.trail_cures import Use, Way, cures, ways
from nsn_pipeline.conform.outcome import SKIPPED, Context, Outcome
from nsn_pipeline.connections import Connections
from nsn_pipeline.frames import records_of, rows_with, values_of
from nsn_pipeline.load.whole import DocumentRow
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.state.trail import Head, Trail
from nsn_pipeline.state.trail_index import Known

TRAIL_METADATA = "trail_end"  # the end of the trail as Dagster knows it, see `end_note`


class Ages(TypedDict, total=False):
    """What job state is told of a document it may have lost."""

    first_seen: datetime
    failing_since: datetime


def end_note(trail: Trail) -> str:
    """Whose trail, its id, sequence and hash: one Dagster instance may see several pairs."""
    return f"{trail.folder.name}:{trail.head()}"


def noted_head(text: str, trail: Trail) -> Head | None:
    """The head in such a note; None when it is not of this trail's account pair and profile.

    Notes of earlier releases name no owner: they count when their id is this trail's.
    """
    parts = text.rsplit(":", 3)
    if len(parts) not in {3, 4} or not parts[-2].isdigit() or not int(parts[-2]):
        return None
    trail_id, seq, digest = parts[-3:]
    is_own = parts[0] == trail.folder.name if len(parts) == 4 else trail_id == trail.head().trail_id  # noqa: PLR2004
    return Head(trail_id, int(seq), digest) if is_own else None


def ages(stood: Known | None) -> Ages:
    """The ages the trail knows of a document."""
    found = Ages()
    if stood is not None:
        found["first_seen"] = datetime.fromisoformat(stood.first_at)
        if stood.failing_since:
            found["failing_since"] = datetime.fromisoformat(stood.failing_since)
    return found


def record_verdict(
    connections: Connections, day: str | None, outcome: Outcome, context: Context
) -> dict[str, Known]:
    """The gate's verdict for a day; returns how its documents stood before."""
    problems: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in records_of(outcome.problems):
        problems[row["document_id"] or ""].append(row)
    skipped = rows_with(outcome.documents, "status", {SKIPPED})
    return connections.recorder.judged(
        outcome.record_type,
        day,
        accepted=outcome.accepted_ids,
        skipped=frozenset(values_of(skipped, "document_id")),
        problems=problems,
        cures=_Cures(connections, outcome, context),
    )


def record_load(
    connections: Connections,
    record_type: str,
    rows: Iterable[DocumentRow],
    day_of: Mapping[str, str | None],
) -> None:
    """What became of loaded documents, day by day."""
    by_day: dict[str | None, list[DocumentRow]] = defaultdict(list)
    for row in rows:
        by_day[day_of[row.document_id]].append(row)
    for day, found in by_day.items():
        connections.recorder.loaded(
            record_type,
            day,
            loaded=[row.document_id for row in found if row.status == "loaded"],
            left=[row.document_id for row in found if row.status == "skipped"],
            failed={row.document_id: row.problems for row in found if row.status == "failed"},
        )


class _Cures:
    """Looks for what cured a document, in the mapping files and references of this run."""

    def __init__(self, connections: Connections, outcome: Outcome, context: Context) -> None:
        self._overrides = cache(connections.overrides)
        self._outcome = outcome
        self._context = context
        self._used: dict[str, list[Use]] | None = None
        self._held: dict[str, set[str]] | None = None

    def __call__(
        self,
        document_id: str,
        waits_for: Collection[str],
        accepted: bool,
        earlier: Sequence[Mapping[str, Any]],
    ) -> list[dict[str, Any]]:
        return cures(
            earlier,
            waits_for,
            accepted=accepted,
            holds=self._holds().get(document_id, ()) if accepted else (),
            lead=lambda reference: self._ways(document_id, reference),
            suppliers=self._context.vendors,
        )

    def _ways(self, document_id: str, reference: str) -> list[Way]:
        uses = self._uses().get(document_id, ())
        found: list[Way] = []
        for crosswalk in (self._context.gl_crosswalk, self._context.cc_crosswalk):
            if reference.startswith(f"{crosswalk.kind}:"):
                found += ways(crosswalk, self._overrides(crosswalk.kind), reference, uses)
        return found

    def _uses(self) -> dict[str, list[Use]]:
        """What each document names now; an account or department names itself, everywhere."""
        if self._used is None:
            self._used = defaultdict(list)
            record_type, usage = self._outcome.record_type, self._outcome.usage
            if REGISTRY[record_type].shape == "dimension":
                kind = "gl_account" if record_type == "gl_account" else "cost_center"
                for document_id in values_of(self._outcome.documents, "document_id"):
                    self._used[document_id].append(Use(kind, document_id, None, None))
            for row in records_of(usage) if usage is not None else ():
                use = Use(row["kind"], row["internal_id"], row["subsidiary_id"], row["date"])
                self._used[row["document_id"]].append(use)
        return self._used

    def _holds(self) -> dict[str, set[str]]:
        """Every text in the accepted rows of each document; a dimension's rows hold no sys_ids."""
        if self._held is None:
            self._held = defaultdict(set)
            if REGISTRY[self._outcome.record_type].shape == "dimension":
                return self._held
            for frame in (self._outcome.headers, self._outcome.lines):
                for row in records_of(frame) if frame is not None else ():
                    self._held[row["_document_id"]].update(
                        value for value in row.values() if isinstance(value, str)
                    )
        return self._held
