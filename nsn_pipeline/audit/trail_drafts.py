"""What the gate and the load write down, made from what they decided.

Pure. A document that is judged as before is listed, not told again: its problems stand in the entry
that told them first, and every attempt is still in its life.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from nsn_pipeline.audit.trail_entry import Draft, Event, data_digest
from nsn_pipeline.audit.trail_privacy import WITHHELD, Privacy, scrubbed
from nsn_pipeline.conform.reasons import Problem
from nsn_pipeline.load.plan import Change

Told = dict[str, Any]
_DOCUMENT = ("tranid", "vendor", "subsidiary", "amount", "currency", "url")


class Stood(Protocol):
    """How a document stood in the last entry that told of it."""

    @property
    def state(self) -> str: ...
    @property
    def digest(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Step:
    """Whose entries they are: a run, a record type, a day (None for a dimension)."""

    run_id: str
    record_type: str
    day: str | None

    def draft(self, event: Event, **told: Any) -> Draft:
        return Draft(event, self.run_id, self.record_type, self.day, **told)

    def listing(self, event: Event, documents: Iterable[str]) -> list[Draft]:
        """One entry for all of them; none for none."""
        ids = tuple(documents)
        return [self.draft(event, documents=ids)] if ids else []


def gate_drafts(
    step: Step,
    *,
    accepted: Collection[str],
    skipped: Collection[str],
    problems: Mapping[str, Sequence[Mapping[str, Any]]],
    stood: Mapping[str, Stood],
    cures: Callable[[str, Collection[str], bool], list[Told]],
    privacy: Privacy,
) -> list[Draft]:
    """What the gate decided for one day. `problems` are rows of `conform`, by document.

    `cures` says what became of an earlier rejection, given what the document still waits for, and
    whether it is accepted now.
    """
    drafts: list[Draft] = []
    still: list[str] = []
    for document_id, rows in problems.items():
        told = [_problem(row, privacy) for row in rows]
        before = stood.get(document_id)
        if before and before.state == "rejected" and before.digest == _digest(told):
            still.append(document_id)
            continue
        data: Told = {"document": _document(rows[0]), "problems": told}
        if before and before.state == "rejected":
            waits_for = {row["reference"] for row in rows if row["reference"]}
            if gone := cures(document_id, waits_for, False):
                data["cured"] = gone
        drafts.append(step.draft(Event.REJECTED, document_id=document_id, data=data))
    drafts.extend(
        step.draft(
            Event.CURED, document_id=document_id, data={"cured": cures(document_id, (), True)}
        )
        for document_id in accepted
        if document_id in stood and stood[document_id].state == "rejected"
    )
    drafts += step.listing(Event.STILL_REJECTED, still)
    drafts += step.listing(Event.ACCEPTED, [one for one in accepted if one not in skipped])
    drafts += step.listing(Event.NOTHING_TO_WRITE, skipped)
    return drafts


def sending_drafts(
    run_id: str, record_type: str, table: str, changes: Iterable[Change], privacy: Privacy
) -> list[Draft]:
    """One entry per document: what is about to be sent for it to one table, old -> new."""
    listed = list(changes)
    hidden = _hidden(table, listed, privacy)
    by_document: dict[str, list[Told]] = defaultdict(list)
    for change in listed:
        by_document[change.document_id].append(_record(change, hidden))
    return [
        Draft(
            Event.SENDING,
            run_id,
            record_type,
            document_id=document_id,
            data={"table": table, "records": records},
        )
        for document_id, records in by_document.items()
    ]


def load_drafts(
    step: Step,
    *,
    loaded: Collection[str],
    left: Collection[str],
    failed: Mapping[str, Sequence[Problem]],
    sent: Collection[str],
    stood: Mapping[str, Stood],
    privacy: Privacy,
    secrets: Mapping[str, Collection[str]],
) -> list[Draft]:
    """What became of the documents of one day.

    `sent` are those anything was sent for in this run, `secrets` the private values in it, which
    ServiceNow's answers may repeat.
    """
    drafts: list[Draft] = []
    still: list[str] = []
    for document_id, found in failed.items():
        told = [
            _without(_load_problem(problem, privacy), secrets.get(document_id, ()))
            for problem in found
        ]
        before = stood.get(document_id)
        if before and before.state == "failed" and before.digest == _digest(told):
            still.append(document_id)
        else:
            data = {"problems": told}
            drafts.append(step.draft(Event.FAILED, document_id=document_id, data=data))
    drafts += step.listing(Event.STILL_FAILED, still)
    drafts += step.listing(Event.WRITTEN, [one for one in loaded if one in sent])
    drafts += step.listing(Event.UNCHANGED, [one for one in loaded if one not in sent])
    drafts += step.listing(Event.LEFT, left)
    return drafts


def private_values(table: str, changes: Iterable[Change], privacy: Privacy) -> dict[str, set[str]]:
    """The values of private columns per document, so that they can be kept out of its problems."""
    found: dict[str, set[str]] = defaultdict(set)
    told = list(changes)
    private = _hidden(table, told, privacy)
    for change in told if private else ():
        for column in private:
            for value in (change.values.get(column), change.before.get(column)):
                if value:
                    found[change.document_id].add(value)
    return dict(found)


def _record(change: Change, hidden: Collection[str]) -> Told:
    """Both values of every field that has any; empty stays empty, so that moves are seen.

    IBANs in free text are taken out of whole entries, when they are written.
    """
    values, before = change.values, change.before
    if before:
        columns = (*values, *(one for one in before if one not in values))
        both = ((column, before.get(column, ""), values.get(column, "")) for column in columns)
        fields = {column: (old, new) for column, old, new in both if old or new}
    else:
        fields = {column: ("", new) for column, new in values.items() if new}
    for column in hidden:
        if column in fields:
            old, new = fields[column]
            fields[column] = (WITHHELD if old else ""), (WITHHELD if new else "")
    return {"key": change.key, "sys_id": change.sys_id, "kind": change.kind, "fields": fields}


def _hidden(table: str, changes: Iterable[Change], privacy: Privacy) -> set[str]:
    """The columns among them whose values are private."""
    columns: set[str] = set()
    for change in changes:
        columns.update(change.values, change.before)
    return {column for column in columns if privacy.hides(column, table)}


def _document(row: Mapping[str, Any]) -> Told:
    told: Told = {}
    for name in _DOCUMENT:
        value = row.get(name)
        if value is not None and value != "":
            told[name] = f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
    return told


def _problem(row: Mapping[str, Any], privacy: Privacy) -> Told:
    value, remedy = privacy.problem(row["column"], row["value"], row["remedy"])
    return _told(row["reason"], row["line_id"], row["column"], value, remedy, row["reference"])


def _load_problem(problem: Problem, privacy: Privacy) -> Told:
    value, remedy = privacy.problem(problem.column, problem.value, problem.remedy)
    return _told(
        str(problem.reason), problem.line_id, problem.column, value, remedy, problem.reference
    )


def _told(  # noqa: PLR0917
    reason: str,
    line: str | None,
    column: str,
    value: str | None,
    remedy: str,
    reference: str | None,
) -> Told:
    told = {"reason": reason, "line": line, "column": column, "value": value, "remedy": remedy}
    told["reference"] = reference
    # As the entry will hold it, so that the same problems are known again.
    return {name: scrubbed(one) for name, one in told.items() if one is not None and one != ""}


def _without(told: Told, secrets: Collection[str]) -> Told:
    for name in ("value", "remedy"):
        for secret in secrets:
            if name in told:
                told[name] = told[name].replace(secret, WITHHELD)
    return told


def _digest(problems: Sequence[Told]) -> str:
    return data_digest({"problems": problems})
