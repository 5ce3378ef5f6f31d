"""Loads documents: headers first, then the lines of the headers that are there.

A document is `loaded` only when its header and every one of its lines are proven; otherwise it is
`failed`, with every reason. What was written of a failed document stays: the next run finds it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

import pandas as pd

from nsn_pipeline.conform.reasons import Problem, Reason
from nsn_pipeline.frames import rows_with
from nsn_pipeline.load.content_hash import content_hashes
from nsn_pipeline.load.ledger import LoadResult, RecordResult
from nsn_pipeline.load.plan import ends
from nsn_pipeline.load.problems import ending_held, missing_header
from nsn_pipeline.load.resolver import Resolver, line_type
from nsn_pipeline.load.retire import Gone, Members, members_of_sets
from nsn_pipeline.load.table import prepare
from nsn_pipeline.load.wanted import texts
from nsn_pipeline.load.whole import DocumentRow, DocumentStatus, Whole
from nsn_pipeline.load.writer import Loader
from nsn_pipeline.profiles.model import Target


@dataclass(slots=True)
class DocumentResult:
    """A row for every document, and a load result for every table written."""

    documents: list[DocumentRow]
    tables: list[LoadResult] = field(default_factory=list)
    lines_held_back: int = 0  # lines not sent because their header is not in ServiceNow
    # Lines or postings that ServiceNow holds and the document, read whole, no longer has. Until
    # they are retired (`load.retire`), their documents are not whole.
    gone: list[Gone] = field(default_factory=list[Gone])
    # Documents that `on_whole` was told of
    told: Collection[str] = ()
    # Documents that NetSuite has ended and ServiceNow shows live: nothing of them was written, and
    # they have no row in `documents`.
    ending: list[DocumentRow] = field(default_factory=list[DocumentRow])

    def counts(self) -> dict[str, dict[str, int]]:
        """Per table: created, updated, unchanged, skipped, failed, planned."""
        return {result.table: result.counts() for result in self.tables}

    def frame(self) -> pd.DataFrame:
        """One row per document, for job state and checks; reasons and remedies joined to text."""
        return pd.DataFrame(
            {
                "document_id": [row.document_id for row in self.documents],
                "status": [row.status for row in self.documents],
                "sys_id": [row.sys_id for row in self.documents],
                "content_hash": [row.content_hash for row in self.documents],
                "reasons": ["; ".join(_reasons(row)) for row in self.documents],
                "remedies": ["; ".join(p.remedy for p in row.problems) for row in self.documents],
                "notes": ["; ".join(row.notes) for row in self.documents],
            },
            dtype="str",
        )


def load_documents(
    loader: Loader,
    target: Target,
    headers: pd.DataFrame,
    lines: pd.DataFrame | None = None,
    *,
    resolver: Resolver,
    plan_only: bool = False,
    may_end: bool = True,
    on_whole: Callable[[Sequence[DocumentRow]], None] | None = None,
) -> DocumentResult:
    """Load one record type. Raises only for a system that cannot be written to at all.

    `on_whole` is told of documents that were written and are whole while later ones of a long list
    are still sent; the result names them (`told`).

    Unless it `may_end` them, documents that would turn void, closed or inactive are left out and
    named: whether so many may is for the run as a whole to say (`load.brake`).
    """
    # Made when it is first asked for: until something is sent, every moment of ours delays that.
    hashes = cache(partial(content_hashes, target, headers, lines))
    return _load(
        *(loader, target, headers, lines, hashes, resolver),
        plan_only=plan_only,
        may_end=may_end,
        on_whole=on_whole,
    )


def _load(  # noqa: PLR0917
    loader: Loader,
    target: Target,
    headers: pd.DataFrame,
    lines: pd.DataFrame | None,
    hashes: Callable[[], dict[str, str]],
    resolver: Resolver,
    *,
    plan_only: bool,
    may_end: bool,
    on_whole: Callable[[Sequence[DocumentRow]], None] | None,
) -> DocumentResult:
    hidden: dict[str, Problem] = {}
    postings = _set_of_postings(loader, target, headers, hidden)
    gone = postings.gone
    whole = Whole(on_whole, hashes)
    has_lines = target.lines is not None and lines is not None
    if not has_lines:
        whole.expect(headers, but=_lost(gone, hidden))
    header_result = loader.load(
        target,
        headers,
        resolver=resolver,
        plan_only=plan_only,
        defer=None if may_end else partial(ends, prepare(target)),
        known=postings.rows,
        on_part=None if has_lines else whole.add,
    )
    deferred = {change.document_id: change for change in header_result.deferred.values()}
    if deferred:
        headers = rows_with(headers, "_key", header_result.deferred, inside=False)
    tables = [header_result]
    records = _of_documents(headers, header_result)
    held_back = 0
    if target.lines is not None and lines is not None:
        writable = {
            document_id
            for document_id, parts in records.items()
            if all(_carries_lines(record) for record in parts)
        }
        chosen = lines.loc[lines["_document_id"].isin(list(writable))]
        held_back = len(lines) - len(chosen)
        # Read before the new lines are written: then there is little to read of new documents.
        below = _set_of_lines(loader, target.lines, records, chosen, hidden)
        gone = below.gone
        whole.expect(chosen, records, but=_lost(gone, hidden))
        line_result = loader.load(
            target.lines,
            chosen,
            resolver=resolver,
            record_type=line_type(target.record_type),
            parent_type=target.record_type,
            plan_only=plan_only,
            known=below.rows,
            on_part=whole.add,
        )
        tables.append(line_result)
        for document_id, parts in _of_documents(chosen, line_result).items():
            records[document_id].extend(_with_line_id(record, document_id) for record in parts)
    for document_id, problem in hidden.items():
        unseen = RecordResult(document_id, document_id, "failed", "", (problem,))
        records[document_id].append(unseen)
    _settle_drift(
        *(loader, target, (headers, lines), records, tables),
        resolver=resolver,
        lost=_lost(gone, hidden),
    )
    rows = [
        whole.rows.get(document_id)
        or _row(document_id, records[document_id], text, _waits_for(document_id, tables))
        for document_id, text in hashes().items()
        if document_id not in deferred
    ]
    ending = [
        DocumentRow(document_id, "planned", change.sys_id, hashes()[document_id])
        for document_id, change in deferred.items()
    ]
    return DocumentResult(rows, tables, held_back, gone, whole.rows.keys(), ending)


def left_live(target: Target, ending: Iterable[DocumentRow], why: str) -> DocumentResult:
    """What becomes of documents that NetSuite ended when `why` speaks against doing so here."""
    table = LoadResult(target.table)
    rows: list[DocumentRow] = []
    for row in ending:
        found = (ending_held(target.table, row.document_id, why),)
        rows.append(row._replace(status="failed", problems=found))
        key = row.document_id
        table.records[key] = RecordResult(key, key, "failed", row.sys_id, found)
    return DocumentResult(rows, [table])


def _set_of_lines(
    loader: Loader,
    part: Target,
    headers: Mapping[str, list[RecordResult]],
    lines: pd.DataFrame,
    hidden: dict[str, Problem],
) -> Members:
    """Lines under the headers that are there; a document without any line says nothing."""
    wanted = _keys_by_document(lines)
    owners = {headers[document_id][0].sys_id: document_id for document_id in wanted}
    return members_of_sets(loader, part, wanted, owners, hidden)


def _set_of_postings(
    loader: Loader, target: Target, postings: pd.DataFrame, hidden: dict[str, Problem]
) -> Members:
    if target.set_by is None:
        return Members()
    wanted = _keys_by_document(postings)
    owners = {document: document for document in wanted}
    offices: dict[str, set[str]] = defaultdict(set)
    if target.office_column:
        named = texts(postings, target.office_column)
        for document_id, office in zip(texts(postings, "_document_id"), named, strict=True):
            offices[document_id].add(office)
    return members_of_sets(loader, target, wanted, owners, hidden, offices=offices)


def _keys_by_document(frame: pd.DataFrame) -> dict[str, set[str]]:
    keys: dict[str, set[str]] = defaultdict(set)
    for key, document_id in zip(texts(frame, "_key"), texts(frame, "_document_id"), strict=True):
        keys[document_id].add(key)
    return keys


def _lost(gone: Iterable[Gone], hidden: Mapping[str, Problem]) -> set[str]:
    """Documents that are not whole even if all of their records are in place."""
    return {row.document_id for row in gone} | hidden.keys()


def _waits_for(document_id: str, tables: Iterable[LoadResult]) -> tuple[str, ...]:
    if not any(result.waits_for for result in tables):
        return ()
    found = (result.waits_for.get(document_id, ()) for result in tables)
    return tuple(sorted({reference for references in found for reference in references}))


def _settle_drift(
    loader: Loader,
    target: Target,
    frames: Sequence[pd.DataFrame | None],
    records: dict[str, list[RecordResult]],
    tables: list[LoadResult],
    *,
    resolver: Resolver,
    lost: Collection[str],
) -> None:
    """What the compared columns hold once the whole document is in place.

    ServiceNow computes headers from lines, so a header looked at before its lines were written is
    looked at again. Where a plan is not carried out, or lines are still to be retired (`lost`), its
    documents have no such state yet.
    """
    parts = zip((target, target.lines), frames, tables, ("", target.record_type), strict=False)
    for part, frame, result, parent_type in parts:
        if part is None or frame is None or all(column.is_written for column in part.columns):
            continue
        moved: list[str] = []
        for key, record in result.records.items():
            siblings = records[record.document_id] if part is target else [record]
            statuses = {sibling.status for sibling in siblings}
            if "planned" in statuses or record.document_id in lost:
                result.drift.pop(key, None)
            elif statuses & {"created", "updated"}:
                moved.append(key)
        rows = frame.loc[frame["_key"].isin(moved)]
        if len(rows):
            found = loader.compare(part, rows, resolver=resolver, parent_type=parent_type)
            result.drift.update(found)


def _carries_lines(header: RecordResult) -> bool:
    """Whether lines may follow: the header is there, and ServiceNow did not refuse its new state.

    A header that is there but for one column that would not be stored keeps its lines: holding
    them back would not cure the column.
    """
    if not header.is_present:
        return False
    return all(problem.reason is Reason.NOT_STORED for problem in header.problems)


def _of_documents(frame: pd.DataFrame, result: LoadResult) -> dict[str, list[RecordResult]]:
    records: dict[str, list[RecordResult]] = defaultdict(list)
    for key, document_id in zip(texts(frame, "_key"), texts(frame, "_document_id"), strict=True):
        records[document_id].append(result.records[key])
    return records


def _with_line_id(record: RecordResult, document_id: str) -> RecordResult:
    if not record.problems:
        return record
    line_id = record.key.removeprefix(f"{document_id}-")
    problems = tuple(replace(problem, line_id=line_id) for problem in record.problems)
    return record._replace(problems=problems)


def _row(
    document_id: str,
    parts: list[RecordResult],
    content_hash: str,
    waits_for: tuple[str, ...],
) -> DocumentRow:
    if not parts:  # lines without a header: nothing was sent
        problem = missing_header(document_id)
        return DocumentRow(document_id, "failed", "", content_hash, (problem,))
    if len(parts) == 1 and not parts[0].problems and not parts[0].notes:
        (part,) = parts
        status = _status((part.status,))
        return DocumentRow(document_id, status, part.sys_id, content_hash, (), (), waits_for)
    statuses = {part.status for part in parts}
    return DocumentRow(
        document_id=document_id,
        status=_status(statuses),
        sys_id=parts[0].sys_id,
        content_hash=content_hash,
        problems=tuple(problem for part in parts for problem in part.problems),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        waits_for=waits_for,
    )


def _status(statuses: Iterable[str]) -> DocumentStatus:
    for status in ("failed", "planned", "skipped"):
        if status in statuses:
            return status
    return "loaded"


def _reasons(row: DocumentRow) -> list[str]:
    return sorted({str(problem.reason) for problem in row.problems})
