"""The part of a load step that retires: gathers what is gone, lets the brake judge it, reports it.

Documents that lost lines or postings wait for it: only then are they whole. How rows are found and
retired is `load.retire`; what NetSuite says is gone is `deletions`.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from nsn_pipeline.conform.outcome import SKIPPED
from nsn_pipeline.connections import Connections
from nsn_pipeline.extract.deletions import still_present, still_unposted
from nsn_pipeline.frames import records_of
from nsn_pipeline.load.brake import Brake, Limits
from nsn_pipeline.load.documents import DocumentResult
from nsn_pipeline.load.ledger import LoadResult
from nsn_pipeline.load.retire import Held, RetiredDocument, Retirer
from nsn_pipeline.load.whole import DocumentRow
from nsn_pipeline.orchestration.assets import deletions
from nsn_pipeline.orchestration.assets.conformed import Conformed
from nsn_pipeline.orchestration.moved import Moved
from nsn_pipeline.orchestration.reporting import CheckFigures, Listed
from nsn_pipeline.profiles.model import Target
from nsn_pipeline.state.job_state import Status

RETIRED_CHECK = "retired"
ALLOW_TAG = "nsn/allow_retire"  # a run's tag: how many records of one table it may retire
DESCRIPTION = (
    "What is gone from NetSuite is retired as the profile says, unless a run would retire "
    "suspiciously much: then it is listed here and left alone."
)


@dataclass(slots=True)
class RetiringResult:
    """Counts per day and table, the documents whose end is now known, and what was left undone."""

    by_day: dict[str, dict[str, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    documents: list[tuple[DocumentRow, str]] = field(default_factory=list)  # with their day
    undone: dict[str, list[RetiredDocument]] = field(default_factory=lambda: defaultdict(list))
    held: list[Held] = field(default_factory=list[Held])
    newly: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    tables: list[LoadResult] = field(default_factory=list[LoadResult])
    calls: int = 0
    day_of: Mapping[str, str] = field(default_factory=dict[str, str])

    def keys_by_day(self, table: LoadResult) -> dict[str, list[str]]:
        """The records of one table by the day they went on."""
        found: dict[str, list[str]] = defaultdict(list)
        for record in table.records.values():
            found[self.day_of[record.document_id]].append(record.key)
        return found

    def figures(self, table: str, day: str | None = None) -> dict[str, int]:
        """Rows retired, and rows that should have been and were not; of a day or of the run."""
        counts: Counter[str] = Counter()
        for one in self.by_day if day is None else [day]:
            counts.update(self.by_day.get(one, {}).get(table, Counter()))
        return {name: counts[name] for name in ("retired", "not_retired")}


class Retiring:
    """One record type over the days of one run; with `plan_only` nothing is retired."""

    def __init__(
        self,
        connections: Connections,
        target: Target,
        names: Conformed,
        *,
        allowed: int = 0,
        plan_only: bool = False,
    ) -> None:
        project = connections.settings.project
        limits = Limits(project.retire_max_share, project.retire_max_count, allowed)
        brake = Brake(limits, connections.retired_today, plan_only=plan_only)
        self._connections = connections
        self._target = target
        self._names = names
        self._retirer = Retirer(connections.loader, target, brake, plan_only=plan_only)
        self._waiting: dict[str, DocumentRow] = {}
        self._day_of: dict[str, str] = {}
        self._emptied: set[str] = set()  # transactions that are there, with nothing to write
        self.moved = Moved(connections, names)

    def waiting(self, result: DocumentResult, day_of: Mapping[str, str | None]) -> set[str]:
        """The documents of a group that lost rows: their end is told by `carry_out`."""
        part = self._target.lines or self._target
        self._retirer.removed(part, result.gone)
        lost = {row.document_id for row in result.gone}
        for row in result.documents:
            if row.document_id in lost:
                self._waiting[row.document_id] = row
                self._day_of[row.document_id] = day_of[row.document_id] or ""
        return lost

    def carry_out(self, days: Sequence[str]) -> RetiringResult:
        """Add what NetSuite says is gone, and retire all of it that may be."""
        deleted = self._deleted(days)
        silent = self._silent(days) if self._target.set_by else {}
        self._day_of = {**silent, **deleted, **self._day_of}
        if self._target.set_by:
            self._retirer.without_postings({**silent, **deleted})
        else:
            self._retirer.deleted(deleted)
        moved = self._leave_to_a_later_read(silent, deleted)
        retired = self._retirer.run()
        result = RetiringResult(held=retired.held, tables=retired.tables, day_of=self._day_of)
        for table in retired.tables:
            result.calls += table.calls
            for record in table.records.values():
                if record.status in {"retired", "failed"}:
                    name = "retired" if record.status == "retired" else "not_retired"
                    result.by_day[self._day_of[record.document_id]][table.table][name] += 1
        for held in retired.held:
            for row in held.rows:
                result.by_day[self._day_of[row.document_id]][held.table]["not_retired"] += 1
        for document in retired.documents.values():
            self._end(document, result)
        gone = {**silent, **deleted}
        still_gone = {document: day for document, day in gone.items() if document not in moved}
        self._forgotten(still_gone, retired.documents, result)
        return result

    def _leave_to_a_later_read(
        self, silent: Mapping[str, str], deleted: Mapping[str, str]
    ) -> set[str]:
        """Look at NetSuite once more, for the few documents that are about to lose anything.

        Other runs load while this one does: what was true when it read may be so no more.
        """
        lost = self._retirer.documents
        if not lost:
            return set()
        client = self._connections.netsuite
        read = {d: self._day_of[d] for d in lost if d in self._waiting or d in self._emptied}
        moved = self.moved.of(read)
        unposted = {d for d in lost if d in silent and d not in deleted and d not in read}
        moved |= unposted - still_unposted(client, sorted(unposted))
        gone = {d for d in lost if d in deleted and d not in read}
        moved |= still_present(client, self._names.record_type, sorted(gone))
        self._retirer.spare(moved)
        for document in moved:
            self.moved.count(self._day_of[document], [document])
        return moved

    def _deleted(self, days: Sequence[str]) -> dict[str, str]:
        connections, name = self._connections, self._names.record_type
        return {
            document: day
            for day in days
            for document in deletions.deleted_ids(
                connections.landing, name, day, connections.run_id
            )
        }

    def _silent(self, days: Sequence[str]) -> dict[str, str]:
        """Transactions without a posting to keep: not posting, voided, or only of rows that are no
        cost. One whose postings were read in this run is not among them.
        """
        landing, run_id = self._connections.landing, self._connections.run_id
        silent: dict[str, str] = {}
        read: set[str] = set()
        for day in days:
            silent |= dict.fromkeys(deletions.unposted_ids(landing, day, run_id), day)
            documents = landing.read(self._names.path("documents"), day, run_id=run_id)
            for row in records_of(documents, ("document_id", "status")):
                if row["status"] == SKIPPED:
                    silent[row["document_id"]] = day
                    self._emptied.add(row["document_id"])
                else:
                    read.add(row["document_id"])
        return {document: day for document, day in silent.items() if document not in read}

    def _end(self, document: RetiredDocument, result: RetiringResult) -> None:
        day = self._day_of[document.document_id]
        row = self._waiting.get(document.document_id)
        if row is None:  # gone as a whole
            status = "loaded" if document.document_id in self._emptied else "retired"
            row = DocumentRow(document.document_id, status, document.sys_id, "")
            if document.status == "retired" and status == "retired":
                result.newly[day].append(document.document_id)
        if document.problems:
            told = (*row.problems, *document.problems)
            row = row._replace(status="failed", problems=told)
            result.undone[day].append(document)
        result.documents.append((row, day))

    def _forgotten(
        self,
        gone: Mapping[str, str],
        found: Collection[str],
        result: RetiringResult,
    ) -> None:
        """Documents of which ServiceNow holds nothing: one that was refused and is gone from
        NetSuite waits for nothing any more.
        """
        absent = [d for d in gone if d not in found and d not in self._emptied]
        known = self._connections.job_state.get_many(self._names.record_type, absent)
        for document, state in known.items():
            if state.status is not Status.RETIRED:
                row = DocumentRow(document, "retired", "", "")
                result.documents.append((row, gone[document]))
                result.newly[gone[document]].append(document)


def retired_check(
    result: RetiringResult, day: str, told: Listed | None, decimals: Mapping[str, int]
) -> CheckFigures:
    """One day's check: what was retired, and what was not with the reason.

    `told` are all failures of the day, those that were not retired among them.
    """
    undone = result.undone.get(day, [])
    counts = Counter[str]()
    for table in result.by_day.get(day, {}).values():
        counts.update(table)
    documents = {row.document_id for row in undone}
    whys = [h.why for h in result.held if documents & {row.document_id for row in h.rows}]
    description = f"{counts['retired']} records retired"
    if undone:
        refused = len([row for row in undone if row.status == "failed"])
        words = [*whys, *([f"ServiceNow refused {refused} documents"] if refused else [])]
        description += f", {counts['not_retired']} left as they are: {'; '.join(words)}"
    return CheckFigures(
        RETIRED_CHECK,
        passed=not undone,
        description=description,
        metadata={
            "retired": counts["retired"],
            "not_retired": counts["not_retired"],
            **(told.of(documents).metadata(decimals) if told and undone else {}),
        },
    )


def allowed(context: dg.AssetExecutionContext) -> int:
    """How many records of a table this run may retire whatever the limits say."""
    text = context.run.tags.get(ALLOW_TAG, "0")
    return int(text) if text.isdecimal() else 0
