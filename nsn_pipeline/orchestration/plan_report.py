"""What a load or a plan tells of its changes, per table and day: counts per kind and per column, a
sample of old and new values, and where columns that are only compared differ.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import dagster as dg

from nsn_pipeline.audit.plan_privacy import shown_change, shown_value
from nsn_pipeline.audit.trail_privacy import Privacy
from nsn_pipeline.load.drift import Difference, Drift
from nsn_pipeline.load.ledger import LoadResult
from nsn_pipeline.load.plan import Change, Kind
from nsn_pipeline.orchestration.reporting import TABLE_ROWS, CheckFigures, table_of
from nsn_pipeline.profiles.model import Target

AGREE_CHECK = "compared_columns_agree"
AGREE_DESCRIPTION = (
    "Columns that are compared and never written (`owner: compared`) hold what NetSuite says."
)
SAMPLE_ROWS = 50
SHOWN_FIRST: tuple[Kind, ...] = ("retire", "update", "create")  # what is lost before what is added
_SAMPLED_CREATES = 3  # whole records; they look alike, and updates are what a reader came for


@dataclass(slots=True)
class ChangeReport:
    """One table on one day, or over a whole run."""

    kinds: Counter[str] = field(default_factory=Counter[str])
    fields: Counter[str] = field(default_factory=Counter[str])
    samples: dict[str, list[Change]] = field(default_factory=dict[str, list[Change]])
    drift: Drift = field(default_factory=Drift)

    def add(self, result: LoadResult, keys: Iterable[str]) -> None:
        """Take in what became of these records."""
        by_key = {change.key: change for change in result.plan.changes}
        for key in keys:
            if (change := by_key.get(key)) is not None:
                self.add_change(change)
            if (found := result.drift.get(key)) is not None:
                self.drift.add(found)

    def add_change(self, change: Change) -> None:
        self.kinds[change.kind] += 1
        if change.kind in SHOWN_FIRST:
            if change.kind != "create":  # a new record has all its columns: that says nothing
                self.fields.update(list(change.values))
            kept = self.samples.setdefault(change.kind, [])
            if len(kept) < SAMPLE_ROWS:
                kept.append(change)

    def metadata(self, table: str, privacy: Privacy) -> dict[str, dg.MetadataValue]:
        """For a materialisation: one entry about the plan, and the sample where there is any."""
        told: dict[str, dg.MetadataValue] = {"plan": dg.MetadataValue.json(self.summary())}
        if sample := sample_of({table: self}, privacy):
            told["changes"] = change_table([row for _, row in sample])
        if self.drift.differences:
            told["drift"] = dg.MetadataValue.json(self.drift.by_column())
        return told

    def summary(self) -> dict[str, dict[str, int]]:
        """Records per kind, and records per column that changes."""
        return {
            "kinds": dict(sorted(self.kinds.items())),
            "fields": dict(self.fields.most_common()),
        }

    def rows(self, kind: Kind, table: str, privacy: Privacy) -> Iterator[dict[str, str]]:
        """Key, column, old and new of the sampled changes of one kind, as they may be shown."""
        changes = self.samples.get(kind, [])
        for change in changes[:_SAMPLED_CREATES] if kind == "create" else changes:
            yield from change_rows(shown_change(privacy, table, change))


def sample_of(
    reports: Mapping[str, ChangeReport], privacy: Privacy
) -> list[tuple[str, dict[str, str]]]:
    """At most `SAMPLE_ROWS` rows, each with its table: every kind has its share of them, and every
    table of the kind's. Sixty updates must not hide five deletions, nor one table another.
    """
    found = [
        {
            table: list(islice(report.rows(kind, table, privacy), SAMPLE_ROWS))
            for table, report in reports.items()
        }
        for kind in SHOWN_FIRST
    ]
    sample: list[tuple[str, dict[str, str]]] = []
    of_kinds = fair_shares([sum(map(len, one.values())) for one in found], SAMPLE_ROWS)
    for by_table, share in zip(found, of_kinds, strict=True):
        of_tables = fair_shares([len(rows) for rows in by_table.values()], share)
        for (table, rows), count in zip(by_table.items(), of_tables, strict=True):
            sample += [(table, row) for row in rows[:count]]
    return sample


def fair_shares(sizes: Sequence[int], limit: int) -> list[int]:
    """Divide `limit` evenly; what one has no use for goes to the others."""
    given = [0] * len(sizes)
    left = limit
    while left and (wanting := [n for n, size in enumerate(sizes) if given[n] < size]):
        each = max(left // len(wanting), 1)
        for n in wanting:
            more = min(each, sizes[n] - given[n], left)
            given[n] += more
            left -= more
    return given


def compares(target: Target) -> bool:
    """Whether any column of the target or of its lines is compared and never written."""
    parts = (target, *([target.lines] if target.lines else []))
    return any(not column.is_written for part in parts for column in part.columns)


def drift_of(reports: Iterable[ChangeReport]) -> Drift:
    """What several tables of one record type drifted."""
    drift = Drift()
    for report in reports:
        drift.add(report.drift)
    return drift


def agree_check(drift: Drift, file: Path | None, privacy: Privacy) -> CheckFigures:
    """The check of one day over the tables of one record type. It warns and fails no document.

    `file` holds all differences; None when there are none.
    """
    differing = len({one.key for one in drift.differences})
    unjudged = drift.not_judged.total()
    described = f"{differing} records differ in {drift.judged.total()} compared values"
    if unjudged:
        described += f"; {unjudged} values could not be judged"
    return CheckFigures(
        AGREE_CHECK,
        passed=not differing,
        description=described,
        metadata={
            **({} if file is None else {"all_differences": dg.MetadataValue.path(str(file))}),
            "differing": differing,
            "columns": dg.MetadataValue.json(drift.by_column()),
            "not_judged": dg.MetadataValue.json(dict(drift.not_judged)),
            "differences": _difference_table(drift.differences[:TABLE_ROWS], privacy),
        },
    )


def change_rows(change: Change) -> Iterator[dict[str, str]]:
    """One row per column that changes; a new record shows what it is given."""
    for column, new in change.values.items():
        if new or change.kind != "create":
            old = change.before.get(column, "")
            yield {"key": change.key, "column": column, "old": old, "new": new}
    if change.kind == "retire" and not change.values:
        yield {"key": change.key, "column": "", "old": "the record", "new": "deleted"}


def change_table(rows: Sequence[dict[str, str]]) -> dg.TableMetadataValue:
    """Rows of `sample_of`, with any columns put before."""
    return table_of(tuple(rows[0]), rows)


def _difference_table(differences: Iterable[Difference], privacy: Privacy) -> dg.TableMetadataValue:
    rows = [
        {
            "key": one.key,
            "column": one.column,
            "netsuite": shown_value(privacy, one.column, one.netsuite),
            "servicenow": shown_value(privacy, one.column, one.servicenow),
        }
        for one in differences
    ]
    return table_of(("key", "column", "netsuite", "servicenow"), rows)
