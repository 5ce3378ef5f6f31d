"""From conform's accepted frame to wanted records with every reference resolved.

Frames are turned into dicts once, column by column; each distinct reference is resolved once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.reasons import Problem
from nsn_pipeline.load import problems
from nsn_pipeline.load.plan import Wanted, distinct, is_safe_key
from nsn_pipeline.load.resolver import Found, Resolver, is_reference, parse_reference
from nsn_pipeline.load.table import Rule, Table


@dataclass(slots=True)
class Resolved:
    """Records that can be written, what keeps the others back, and what was left empty."""

    records: list[Wanted] = field(default_factory=list)
    problems: dict[str, tuple[str, tuple[Problem, ...]]] = field(default_factory=dict)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # What documents were written without and would be linked to: `purchase_order:4711`
    waits_for: dict[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class References:
    """Every reference of a frame by its text, and what is known of each: looked up once, so that
    all parts of a long list are judged by the same answers.
    """

    parsed: Mapping[str, tuple[str, str]]
    found: Mapping[str, Found]


def distinct_rows(table: Table, frame: pd.DataFrame) -> tuple[list[int], dict[str, Problem]]:
    """The positions of the rows to load, one per key, and what is wrong with other keys."""
    keys = texts(frame, "_key")
    times = Counter(keys)
    odd = {key for key, count in times.items() if count > 1 or not is_safe_key(key)}
    if not odd:
        return list(range(len(keys))), {}
    suspects = frame.iloc[[at for at, key in enumerate(keys) if key in odd]]
    _, refused = distinct(table, read_records(table, suspects))
    first = {key: at for at, key in reversed(list(enumerate(keys)))}
    return [at for at, key in enumerate(keys) if key not in refused and first[key] == at], refused


def read_records(table: Table, frame: pd.DataFrame) -> list[Wanted]:
    """One `Wanted` per row; null is the empty text, which clears a column.

    In a column that is compared only, null means that NetSuite gives nothing to compare with.
    """
    columns = [rule.column for rule in table.rules]
    rows = zip(*(texts(frame, column) for column in columns), strict=True)
    identities = zip(texts(frame, "_key"), texts(frame, "_document_id"), strict=True)
    records = [
        Wanted(key, document_id, dict(zip(columns, row, strict=True)))
        for (key, document_id), row in zip(identities, rows, strict=True)
    ]
    for rule in table.compared:
        for record, value in zip(records, frame[rule.column], strict=True):
            if pd.isna(value):
                del record.fields[rule.column]
    return records


def texts(frame: pd.DataFrame, column: str) -> list[str]:
    """A column as plain strings; null is the empty text.

    Through Arrow, which most columns are kept in: half the time of `Series.tolist`.
    """
    values = pa.array(frame[column], from_pandas=True)
    if values.null_count:
        values = values.cast(pa.string()).fill_null("")  # a column of nulls alone has no type
    return cast("list[str]", values.to_pylist())


def look_up_references(
    table: Table, frame: pd.DataFrame, resolver: Resolver, *, parent_type: str
) -> References:
    """Look up what the `ref:` texts of all rows refer to; `parent_type` is what `parent` means."""
    parsed = {
        text: parse_reference(text, parent_type=parent_type)
        for text in {text for rule in table.references for text in texts(frame, rule.column)}
        if is_reference(text)
    }
    resolver.fetch(parsed.values())
    return References(parsed, {text: resolver.find(*one) for text, one in parsed.items()})


def resolve_references(
    table: Table, records: Iterable[Wanted], references: References, resolver: Resolver
) -> Resolved:
    """Put sys_ids in place of `ref:` texts.

    A required reference that cannot be resolved is a problem; an optional one is left empty, with
    a note, because the document is right without it. Several records under one key are a problem
    in both cases, as none of them is more right than the others; so are hidden ones: the link may
    be right as it is, and would be cleared.
    """
    kept = list(records)
    found = references.found
    if not found:
        return Resolved(kept)
    result = Resolved()
    for record in kept:
        faults: list[Problem] = []
        notes: list[str] = []
        for rule in table.references:
            text = record.fields.get(rule.column)
            if text is None or text not in found:
                continue
            sys_id = found[text].sys_id
            if sys_id is None and not rule.is_written:
                del record.fields[rule.column]  # nothing to compare with, and nothing to report
                continue
            record.fields[rule.column] = sys_id or ""
            if sys_id is None:
                problem = _unresolved(rule, references.parsed[text], found[text], resolver)
                if rule.required or found[text].sys_ids or found[text].hidden:
                    faults.append(problem)
                else:
                    notes.append(f"{rule.column} left empty: {problem.remedy}")
                    waits_for = result.waits_for.setdefault(record.document_id, set())
                    waits_for.add(":".join(references.parsed[text]))
        if faults:
            result.problems[record.key] = (record.document_id, tuple(faults))
        else:
            result.records.append(record)
        if notes:
            result.notes[record.key] = tuple(notes)
    return result


def _unresolved(
    rule: Rule, reference: tuple[str, str], found: Found, resolver: Resolver
) -> Problem:
    record_type, key = reference
    table, external_key = resolver.place(record_type)
    if found.hidden:
        return problems.hidden_rows(table, external_key, key)
    if found.sys_ids:
        return problems.duplicate_in_servicenow(table, external_key, key, found.sys_ids)
    return problems.missing_reference(record_type, key, rule.column)
