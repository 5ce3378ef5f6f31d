"""Finds rows of ours that NetSuite no longer has, and retires them if that is not too many.

Evidence comes first: a line or posting is gone because its document was read whole and does not
have it, a document because NetSuite recorded its deletion. That nothing was read is no evidence.
Rows are gathered over the whole run, judged per table (`load.brake`), and retired lines first.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from nsn_pipeline.conform.reasons import Problem
from nsn_pipeline.load import problems
from nsn_pipeline.load.brake import Limits, needs_base, refusal
from nsn_pipeline.load.compare import received
from nsn_pipeline.load.ledger import LoadResult, RecordResult
from nsn_pipeline.load.plan import Row, is_safe_key
from nsn_pipeline.load.writer import Loader
from nsn_pipeline.profiles.model import Target

RetiredStatus = Literal["retired", "unchanged", "failed", "held", "planned"]
_WORST: tuple[RetiredStatus, ...] = ("failed", "held", "planned", "retired")


@dataclass(frozen=True, slots=True)
class Gone:
    """A row under a key of ours whose record NetSuite no longer has."""

    key: str
    document_id: str


@dataclass(frozen=True, slots=True)
class Held:
    """Retirements of one table that the brake left undone."""

    table: str
    why: str
    rows: tuple[Gone, ...]


@dataclass(frozen=True, slots=True)
class RetiredDocument:
    """What became of the rows of one document that are gone; `sys_id` is its header's."""

    document_id: str
    status: RetiredStatus
    sys_id: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class Retired:
    """A result for every table, every table the brake held, and a row for every document."""

    tables: list[LoadResult] = field(default_factory=list[LoadResult])
    held: list[Held] = field(default_factory=list[Held])
    documents: dict[str, RetiredDocument] = field(default_factory=dict[str, RetiredDocument])


def gone_from_sets(
    loader: Loader,
    part: Target,
    wanted: Mapping[str, Collection[str]],
    owners: Mapping[str, str],
    hidden: dict[str, Problem],
) -> list[Gone]:
    """Rows of these documents whose keys are not wanted any more.

    `wanted` holds the keys of every document that was read whole; `owners` names the document by
    what the set column holds: the header's sys_id (lines) or the NetSuite id (postings). A row
    counts only if its key says that it belongs to the document it stands under: one that a person
    moved here from another document is that document's business, one without a key is theirs.
    Documents with rows that our role does not see are added to `hidden`, and lose nothing.
    """
    column = part.parent_column or part.set_by
    if part.retire.how == "keep" or column is None or not owners:
        return []
    fields = ("sys_id", part.external_key, column)
    found = loader.find(part.table, column, list(owners), fields)
    for owner in found.hidden:
        hidden[owners[owner]] = problems.hidden_rows(part.table, column, owner)
    gone: list[Gone] = []
    for owner, rows in found.rows.items():
        document_id = owners[owner]
        if document_id in hidden:
            continue
        keys = wanted.get(document_id, ())
        gone.extend(
            Gone(key, document_id) for key in _keys_of(part, document_id, rows) if key not in keys
        )
    return gone


def _keys_of(part: Target, document_id: str, rows: Iterable[Row]) -> Iterator[str]:
    rest = part.key_from.removeprefix("{document_id}")
    numbers = "[0-9]+".join(re.escape(text) for text in re.split(r"{\w+}", rest))
    own = re.compile(re.escape(document_id) + numbers)
    keys = dict.fromkeys(received(row.get(part.external_key)) for row in rows)
    yield from (key for key in keys if is_safe_key(key) and own.fullmatch(key))


class Retirer:
    """Gathers what one run wants to retire of one record type; make a new one for each run."""

    def __init__(
        self, loader: Loader, target: Target, limits: Limits, *, plan_only: bool = False
    ) -> None:
        self._loader = loader
        self._target = target
        self._limits = limits
        self._plan_only = plan_only
        self._gone: dict[str, dict[str, Gone]] = defaultdict(dict)
        self._headers: dict[str, str] = {}  # document -> sys_id of a header that is to go
        self._hidden: dict[str, Problem] = {}  # document -> rows of it that our role does not see

    def _parts(self) -> Sequence[Target]:
        """Children first: a header goes when nothing of it is left to go."""
        lines = self._target.lines
        return (lines, self._target) if lines is not None else (self._target,)

    @property
    def documents(self) -> set[str]:
        """The documents of which anything is gone."""
        lost = {row.document_id for rows in self._gone.values() for row in rows.values()}
        return lost | self._hidden.keys()

    def spare(self, documents: Collection[str]) -> None:
        """Leave these alone: their evidence no longer holds."""
        for table, rows in self._gone.items():
            self._gone[table] = {k: r for k, r in rows.items() if r.document_id not in documents}
        for document_id in self._hidden.keys() & set(documents):
            del self._hidden[document_id]

    def removed(self, part: Target, gone: Iterable[Gone]) -> None:
        """Lines or postings that a document read whole no longer has."""
        self._gone[part.table].update((one.key, one) for one in gone)

    def without_postings(self, documents: Collection[str]) -> None:
        """Transactions that NetSuite shows to post nothing any more, or to be deleted."""
        part = self._target
        owners = {document_id: document_id for document_id in documents if is_safe_key(document_id)}
        self.removed(part, gone_from_sets(self._loader, part, {}, owners, self._hidden))

    def deleted(self, documents: Collection[str]) -> None:
        """Records whose deletion NetSuite recorded: header and lines, as far as they are there.

        A document with a header or a line that our role does not see keeps all of it.
        """
        part = self._target
        safe = [document_id for document_id in documents if is_safe_key(document_id)]
        if part.retire.how == "keep" or not safe:
            return
        fields = ("sys_id", part.external_key)
        owners: dict[str, str] = {}
        found = self._loader.find(part.table, part.external_key, safe, fields)
        for document_id in safe:
            if document_id in found.hidden:
                hidden = problems.hidden_rows(part.table, part.external_key, document_id)
                self._hidden[document_id] = hidden
                continue
            rows = found.rows.get(document_id, ())
            owners.update((received(row.get("sys_id")), document_id) for row in rows)
            if rows:
                self._headers[document_id] = received(rows[0].get("sys_id"))
                self._gone[part.table][document_id] = Gone(document_id, document_id)
            elif part.create:  # somebody deleted the header: our lines may still hang below it
                owners[self._loader.sys_id_of(part, document_id)] = document_id
        if part.lines is not None:
            lines = gone_from_sets(self._loader, part.lines, {}, owners, self._hidden)
            self.removed(part.lines, lines)

    def run(self) -> Retired:
        """Judge what was gathered, and retire what may be."""
        retired = Retired()
        hidden = dict(self._hidden)
        self.spare(hidden)
        for document_id, problem in hidden.items():
            retired.documents[document_id] = RetiredDocument(
                document_id, "failed", self._headers.get(document_id, ""), (problem,)
            )
        pending = self._pending()
        kept: dict[str, tuple[str, str]] = {}  # document -> table and reason of the brake
        for part in self._parts():
            rows = pending.get(part.table, {})
            why = self._refusal(part, len(rows))
            if why is not None:
                retired.held.append(Held(part.table, why, tuple(rows.values())))
                kept.update((row.document_id, (part.table, why)) for row in rows.values())
        records: dict[str, list[RecordResult]] = defaultdict(list)
        for part in self._parts():
            failed = {d for d, found in records.items() if any(r.problems for r in found)}
            chosen = {
                key: row.document_id
                for key, row in self._gone.get(part.table, {}).items()
                if row.document_id not in kept and row.document_id not in failed
            }
            if not chosen:
                continue
            result = self._loader.retire(part, chosen, plan_only=self._plan_only)
            retired.tables.append(result)
            for record in result.records.values():
                records[record.document_id].append(_told(record))
        for document_id, found in records.items():
            retired.documents[document_id] = self._document(document_id, found)
        for document_id, (table, why) in kept.items():
            problem = problems.retirement_held(table, document_id, why)
            retired.documents[document_id] = RetiredDocument(
                document_id, "held", self._headers.get(document_id, ""), (problem,)
            )
        return retired

    def _pending(self) -> dict[str, dict[str, Gone]]:
        """The rows that are there and not retired yet: those the brake counts."""
        pending: dict[str, dict[str, Gone]] = {}
        for part in self._parts():
            gone = self._gone.get(part.table, {})
            if not gone:
                continue
            planned = self._loader.retire(
                part, {key: row.document_id for key, row in gone.items()}, plan_only=True
            )
            records = planned.records
            pending[part.table] = {k: r for k, r in gone.items() if records[k].status == "planned"}
        return pending

    def _refusal(self, part: Target, wanted: int) -> str | None:
        held = self._loader.held(part) if needs_base(self._limits, wanted) else 0
        return refusal(self._limits, part.table, wanted=wanted, held=held)

    def _document(self, document_id: str, found: Sequence[RecordResult]) -> RetiredDocument:
        statuses = {record.status for record in found}
        return RetiredDocument(
            document_id=document_id,
            status=_worst(statuses),
            sys_id=self._headers.get(document_id, ""),
            problems=tuple(problem for record in found for problem in record.problems),
        )


def _worst(statuses: Collection[str]) -> RetiredStatus:
    for status in _WORST:
        if status in statuses:
            return status
    return "unchanged"


def _told(record: RecordResult) -> RecordResult:
    """With the line each problem is about, where the row is one of a document."""
    if not record.problems or record.key == record.document_id:
        return record
    line_id = record.key.removeprefix(f"{record.document_id}-")
    told = tuple(replace(problem, line_id=line_id) for problem in record.problems)
    return record._replace(problems=told)
