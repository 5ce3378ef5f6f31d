"""Finds rows of ours that NetSuite no longer has, and retires them if that is not too many.

Evidence comes first: a line or posting is gone because its document was read whole and does not
have it, a document because NetSuite recorded its deletion. That nothing was read is no evidence.
Rows are gathered over the whole run, judged per table (`load.brake`), and retired lines first.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from nsn_pipeline.conform.reasons import Problem
from nsn_pipeline.load import problems
from nsn_pipeline.load.brake import Brake, lost_office
from nsn_pipeline.load.compare import received
from nsn_pipeline.load.ledger import LoadResult, RecordResult
from nsn_pipeline.load.plan import Row, is_safe_key
from nsn_pipeline.load.table import prepare
from nsn_pipeline.load.writer import Loader
from nsn_pipeline.profiles.model import Target

RetiredStatus = Literal["retired", "unchanged", "failed", "held", "planned"]
_WORST: tuple[RetiredStatus, ...] = ("failed", "held", "planned", "retired")


@dataclass(frozen=True, slots=True)
class Gone:
    """A row under a key of ours whose record NetSuite no longer has.

    `office` is set where a document that goes on would lose all it has of one subsidiary: that is
    what a role sees that lost its view of it.
    """

    key: str
    document_id: str
    office: str = ""


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


@dataclass(slots=True)
class Members:
    """Rows of ours that ServiceNow holds in sets, by key, and those of them that are gone."""

    rows: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    gone: list[Gone] = field(default_factory=list[Gone])


def members_of_sets(
    loader: Loader,
    part: Target,
    wanted: Mapping[str, Collection[str]],
    owners: Mapping[str, str],
    hidden: dict[str, Problem],
    *,
    offices: Mapping[str, Collection[str]] | None = None,
) -> Members:
    """The rows of these documents, read whole, and those whose keys are not wanted any more.

    `wanted` holds the keys of every document that was read whole; `owners` names the document by
    what the set column holds: the header's sys_id (lines) or the NetSuite id (postings). A row
    counts only if its key says that it belongs to the document it stands under: one that a person
    moved here from another document is that document's business, one without a key is theirs.
    Documents with rows that our role does not see are added to `hidden`, and lose nothing.
    `offices` names the subsidiaries that the wanted rows belong to, where rows name any.
    """
    column = part.parent_column or part.set_by
    members = Members()
    if part.retire.how == "keep" or column is None or not owners:
        return members
    table = prepare(part)
    fields = (*table.fields, column)
    found = loader.find(part.table, column, list(owners), fields)
    for owner in found.hidden:
        hidden[owners[owner]] = problems.hidden_rows(part.table, column, owner)
    for owner, rows in found.rows.items():
        document_id = owners[owner]
        if document_id in hidden:
            continue
        keys = wanted.get(document_id, ())
        by_key = _by_key(part, document_id, rows)
        left = set(offices.get(document_id, ())) if offices else set[str]()
        gone: dict[str, str] = {}
        for key, of_key in by_key.items():
            office = received(of_key[0].get(part.office_column)) if part.office_column else ""
            if key in keys:
                members.rows[key] = of_key
                left.add(office)
            else:
                gone[key] = office
        goes_on = bool(keys)
        members.gone.extend(
            Gone(key, document_id, office if goes_on and office not in left else "")
            for key, office in gone.items()
        )
    return members


def _by_key(part: Target, document_id: str, rows: Iterable[Row]) -> dict[str, list[Row]]:
    rest = part.key_from.removeprefix("{document_id}")
    numbers = "[0-9]+".join(re.escape(text) for text in re.split(r"{\w+}", rest))
    own = re.compile(re.escape(document_id) + numbers)
    found: dict[str, list[Row]] = {}
    for row in rows:
        key = received(row.get(part.external_key))
        if is_safe_key(key) and own.fullmatch(key):
            found.setdefault(key, []).append(row)
    return found


class Retirer:
    """Gathers what one run wants to retire of one record type; make a new one for each run."""

    def __init__(
        self, loader: Loader, target: Target, brake: Brake, *, plan_only: bool = False
    ) -> None:
        self._loader = loader
        self._target = target
        self._brake = brake
        self._plan_only = plan_only
        self._gone: dict[str, dict[str, Gone]] = defaultdict(dict)
        self._headers: dict[str, str] = {}  # document -> sys_id of a header that is to go
        self._kept_whole: dict[str, Problem] = {}  # document -> why nothing of it may go

    def _parts(self) -> Sequence[Target]:
        """Children first: a header goes when nothing of it is left to go."""
        lines = self._target.lines
        return (lines, self._target) if lines is not None else (self._target,)

    @property
    def documents(self) -> set[str]:
        """The documents of which anything is gone."""
        lost = {row.document_id for rows in self._gone.values() for row in rows.values()}
        return lost | self._kept_whole.keys()

    def spare(self, documents: Collection[str]) -> None:
        """Leave these alone: their evidence no longer holds."""
        for table, rows in self._gone.items():
            self._gone[table] = {k: r for k, r in rows.items() if r.document_id not in documents}
        for document_id in self._kept_whole.keys() & set(documents):
            del self._kept_whole[document_id]

    def removed(self, part: Target, gone: Iterable[Gone]) -> None:
        """Lines or postings that a document read whole no longer has."""
        self._gone[part.table].update((one.key, one) for one in gone)

    def without_postings(self, documents: Collection[str]) -> None:
        """Transactions that NetSuite shows to post nothing any more, or to be deleted."""
        part = self._target
        owners = {document_id: document_id for document_id in documents if is_safe_key(document_id)}
        self.removed(part, members_of_sets(self._loader, part, {}, owners, self._kept_whole).gone)

    def deleted(self, documents: Collection[str]) -> None:
        """Records whose deletion NetSuite recorded: header and lines, as far as they are there.

        A document with a header or a line that our role does not see keeps all of it, and so does
        one with several headers: a person must choose first.
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
                self._kept_whole[document_id] = hidden
                continue
            rows = found.rows.get(document_id, ())
            if len(rows) > 1:
                self._kept_whole[document_id] = problems.duplicate_in_servicenow(
                    part.table,
                    part.external_key,
                    document_id,
                    (received(row.get("sys_id")) for row in rows),
                )
                continue
            owners.update((received(row.get("sys_id")), document_id) for row in rows)
            if rows:
                self._headers[document_id] = received(rows[0].get("sys_id"))
                self._gone[part.table][document_id] = Gone(document_id, document_id)
            elif part.create:  # somebody deleted the header: our lines may still hang below it
                owners[self._loader.sys_id_of(part, document_id)] = document_id
        if part.lines is not None:
            lines = members_of_sets(self._loader, part.lines, {}, owners, self._kept_whole)
            self.removed(part.lines, lines.gone)

    def run(self) -> Retired:
        """Judge what was gathered, and retire what may be."""
        retired = Retired()
        kept_whole = dict(self._kept_whole)
        self.spare(kept_whole)
        for document_id, problem in kept_whole.items():
            retired.documents[document_id] = RetiredDocument(
                document_id, "failed", self._headers.get(document_id, ""), (problem,)
            )
        wanted: dict[str, int] = {}  # per table, what the brake let pass
        kept = self._kept(retired.held, wanted)
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
            done = result.counts()["retired"]
            wanted_here = wanted.pop(part.table, 0)
            self._brake.not_done(part.table, wanted_here, max(wanted_here - done, 0))
            for record in result.records.values():
                records[record.document_id].append(_told(record))
        for table, number in wanted.items():
            self._brake.not_done(table, number, number)
        for document_id, found in records.items():
            retired.documents[document_id] = self._document(document_id, found)
        for document_id, (table, why) in kept.items():
            problem = problems.retirement_held(table, document_id, why)
            retired.documents[document_id] = RetiredDocument(
                document_id, "held", self._headers.get(document_id, ""), (problem,)
            )
        return retired

    def _kept(self, held: list[Held], wanted: dict[str, int]) -> dict[str, tuple[str, str]]:
        """The documents that must stay as they are, each with the table and the reason."""
        kept: dict[str, tuple[str, str]] = {}
        for table, rows in self._gone.items():
            for one in self._without_an_office(table, rows.values()):
                held.append(one)
                kept.update((row.document_id, (table, one.why)) for row in one.rows)
        pending = self._pending(kept)
        for part in self._parts():
            rows = pending.get(part.table, {})
            why = self._brake.refusal(part.table, len(rows), partial(self._loader.held, part))
            if why is None:
                wanted[part.table] = len(rows)
            else:
                held.append(Held(part.table, why, tuple(rows.values())))
                kept.update((row.document_id, (part.table, why)) for row in rows.values())
        return kept

    def _without_an_office(self, table: str, rows: Iterable[Gone]) -> Iterator[Held]:
        """Documents that go on and would lose all that one subsidiary has in them.

        Debits and credits balance within a subsidiary, so what a role sees that lost its view of
        one looks whole. No brake notices a few of these a day; only a person can tell.
        """
        halved: dict[tuple[str, str], list[Gone]] = defaultdict(list)
        for row in rows:
            if row.office:
                halved[row.document_id, row.office].append(row)
        for (document_id, office), of_office in halved.items():
            if len(of_office) > self._brake.limits.allowed:
                why = lost_office(table, document_id, office, len(of_office))
                yield Held(table, why, tuple(of_office))

    def _pending(self, kept: Collection[str]) -> dict[str, dict[str, Gone]]:
        """The rows that are there and not retired yet: those the brake counts."""
        pending: dict[str, dict[str, Gone]] = {}
        for part in self._parts():
            of_part = self._gone.get(part.table, {})
            gone = {key: row for key, row in of_part.items() if row.document_id not in kept}
            if not gone:
                continue
            planned = self._loader.retire(
                part, {key: row.document_id for key, row in gone.items()}, plan_only=True
            )
            records = planned.records
            pending[part.table] = {k: r for k, r in gone.items() if records[k].status == "planned"}
        return pending

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
