"""The trail as a flat table, for auditors: one row per thing that is said of one document.

Pure. Columns are fixed; what does not apply is empty.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from nsn_pipeline.audit.trail_entry import Entry, Event, instant_text
from nsn_pipeline.audit.trail_story import cure_text

COLUMNS = (
    "seq",
    "at",
    "run",
    "day",
    "record_type",
    "document_id",
    "event",
    "table",
    "key",
    "sys_id",
    "change",
    "field",
    "old",
    "new",
    "reason",
    "line",
    "column",
    "value",
    "reference",
    "remedy",
    "cured_by",
    "note",
    "hash",
)
Fact = dict[str, str]


def facts(entries: Iterable[Entry], listed: Callable[[int], tuple[str, ...]]) -> Iterator[Fact]:
    """Every fact of these entries; `listed` gives the documents of an entry another points to."""
    for entry in entries:
        base = dict.fromkeys(COLUMNS, "") | {
            "seq": str(entry.seq),
            "at": instant_text(entry.at),
            "run": entry.run_id,
            "day": entry.day or "",
            "record_type": entry.record_type,
            "document_id": entry.document_id or "",
            "event": entry.event.value,
            "hash": entry.hash,
        }
        documents = listed(entry.same_as) if entry.same_as is not None else entry.documents
        if documents:
            yield from ({**base, "document_id": one} for one in documents)
        elif entry.event is Event.SENDING:
            yield from ({**base, **row} for row in _sent(entry.data))
        elif rows := [*_problems(entry.data), *_cured(entry.data)]:
            yield from ({**base, **row} for row in rows)
        else:
            yield {**base, "note": _note(entry.data)}


def _sent(data: Any) -> Iterator[Fact]:
    for record in data["records"]:
        of_record = {
            "table": data["table"],
            "key": record["key"],
            "sys_id": record["sys_id"],
            "change": record["kind"],
        }
        if not record["fields"]:
            yield of_record
        for field, (old, new) in record["fields"].items():
            yield {**of_record, "field": field, "old": old, "new": new}


def _problems(data: Any) -> Iterator[Fact]:
    names = ("reason", "line", "column", "value", "reference", "remedy")
    for problem in data.get("problems", ()):
        yield {name: problem.get(name, "") for name in names}


def _cured(data: Any) -> Iterator[Fact]:
    for cure in data.get("cured", ()):
        yield {
            "reason": cure["reason"],
            "column": cure.get("column", ""),
            "reference": cure.get("reference", ""),
            "sys_id": cure.get("sys_id", ""),
            "cured_by": cure_text(cure),
        }


def _note(data: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in data.items())
