"""`nsn audit`: reads the trail. Nothing here writes to it, or to either system."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

import dagster as dg
from rich.console import Console
from rich.markup import escape

from nsn_pipeline.audit.spreadsheet import write_csv
from nsn_pipeline.audit.trail_chain import Anchor, Verification
from nsn_pipeline.audit.trail_entry import Entry
from nsn_pipeline.audit.trail_facts import COLUMNS, Fact, facts
from nsn_pipeline.audit.trail_story import story
from nsn_pipeline.commands.audit_text import print_story
from nsn_pipeline.connections import Connections
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.orchestration.assets.servicenow import load_keys
from nsn_pipeline.orchestration.trail import TRAIL_METADATA, noted_head
from nsn_pipeline.settings import load_settings
from nsn_pipeline.state.trail import Trail

DAGSTER_NOTES = 100  # materialisations per table that the chain is compared with


def show_document(
    console: Console, record_type: str, document_id: str, *, every: bool, as_json: bool
) -> bool:
    """Tell a document's life; False when the trail has never heard of it."""
    with _opened() as (connections, trail):
        found = story(record_type, document_id, trail.story(record_type, document_id))
        timezone = connections.settings.project.timezone
    if found is None:
        if as_json:
            print(json.dumps(None))
        else:
            console.print(
                f"The trail tells of no {record_type} {escape(document_id)}. It is known by the "
                "NetSuite internal id, once a run has read it: `nsn sync` the day it last changed."
            )
        return False
    if as_json:
        print(json.dumps(found.to_json(), indent=1, ensure_ascii=False))
    else:
        print_story(console, found, ZoneInfo(timezone), every=every)
    return True


def verify_trail(console: Console, *, as_json: bool) -> bool:
    """Walk the chain; True when it holds."""
    with _opened() as (connections, trail):
        head = trail.head()
        notes = list(_dagster_notes(connections))
        anchors = [anchor for trail_id, anchor in notes if trail_id == head.trail_id]
        result = trail.verify(anchors)
        gone = trail.other_trails() | {
            trail_id: anchor.seq for trail_id, anchor in notes if trail_id != head.trail_id
        }
    if as_json:
        told = asdict(result) | {"intact": result.intact, "trail": head.trail_id, "gone": gone}
        print(json.dumps(told, indent=1))
    else:
        _print_verification(console, result, gone, folder=trail.folder, own_id=head.trail_id)
    return result.intact and not gone


def export_trail(console: Console, first: date, last: date, *, form: str, out: Path | None) -> None:
    """Write a period's facts; cells cannot be taken for formulas."""
    if last < first:
        raise ConfigurationError(f"--to {last} is before --from {first}")
    with _opened() as (connections, trail):
        zone = ZoneInfo(connections.settings.project.timezone)
        start = datetime(first.year, first.month, first.day, tzinfo=zone)
        following = last + timedelta(days=1)
        end = datetime(following.year, following.month, following.day, tzinfo=zone)
        chosen = (entry for entry in trail.entries() if start <= entry.at < end)
        listed = lru_cache(maxsize=64)(lambda seq: _listed(trail.entry(seq)))
        if out is None:
            count = _write(sys.stdout, facts(chosen, listed), form)
        else:
            with out.open("w", encoding="utf-8", newline="") as file:
                count = _write(file, facts(chosen, listed), form)
            console.print(f"{count:,} rows written to {out}", soft_wrap=True)


def _write(file: TextIO, rows: Iterable[Fact], form: str) -> int:
    if form == "csv":
        return write_csv(file, COLUMNS, rows)
    count = 0
    for row in rows:
        kept = {name: value for name, value in row.items() if value}
        file.write(json.dumps(kept, ensure_ascii=False) + "\n")
        count += 1
    return count


def _listed(entry: Entry | None) -> tuple[str, ...]:
    return () if entry is None else entry.documents


@contextmanager
def _opened() -> Iterator[tuple[Connections, Trail]]:
    with Connections(load_settings(), run_id="audit") as connections:
        yield connections, connections.trail


def _dagster_notes(connections: Connections) -> Iterator[tuple[str, Anchor]]:
    """The ends of the trail as load runs left them in Dagster's event log, the newest ones."""
    seen: set[str] = set()
    with dg.DagsterInstance.get() as instance:
        for target in connections.profile.targets.values():
            wanted = dg.AssetRecordsFilter(asset_key=load_keys(target)[0])
            for record in instance.fetch_materializations(wanted, limit=DAGSTER_NOTES).records:
                told = record.asset_materialization
                note = told.metadata.get(TRAIL_METADATA) if told else None
                text = str(note.value) if note else ""
                head = noted_head(text, connections.trail)
                if head is not None and text not in seen:
                    seen.add(text)
                    source = f"Dagster run {record.run_id[:8]}"
                    yield head.trail_id, Anchor(head.seq, head.hash, source)


def _print_verification(
    console: Console, result: Verification, gone: dict[str, int], *, folder: Path, own_id: str
) -> None:
    count = len(result.segments)
    console.print(f"Trail in {folder}", soft_wrap=True, highlight=False)
    console.print(
        f"{result.entries:,} entries in {count} segment{'' if count == 1 else 's'}, "
        f"{result.bytes:,} bytes",
        highlight=False,
    )
    if result.entries and result.intact:
        console.print(f"[green]The chain holds[/green] up to entry {result.seq:,}.")
        console.print(
            f"Its end, to be noted elsewhere: {own_id}:{result.seq}:{result.hash}",
            soft_wrap=True,
            highlight=False,
        )
    elif not result.entries:
        console.print("There is no entry yet.")
    if result.anchors:
        sources = sorted({anchor.source.split(" ")[0] for anchor in result.anchors})
        console.print(
            f"Compared with {len(result.anchors)} notes of its end kept in {' and '.join(sources)}."
        )
    else:
        console.print("Neither Redis nor Dagster holds a note of its end to compare with.")
    for note in result.notes:
        console.print(f"[dim]note: {escape(note)}[/dim]", highlight=False)
    for fault in result.faults:
        line = f" line {fault.line}" if fault.line else ""
        entry = "" if fault.seq is None else f", entry {fault.seq}"
        console.print(
            f"[red]{fault.kind}[/red]: {fault.segment}{line}{entry}: {escape(fault.detail)}",
            highlight=False,
        )
    for trail_id, seq in gone.items():
        console.print(
            f"[red]gone[/red]: another trail ({trail_id[:8]}) of this account pair and profile had "
            f"{seq:,} entries and is not here: restore {folder} from a backup beside the new one",
            highlight=False,
        )
    if result.faults:
        console.print(
            "Keep the files as they are, compare the lines named above with a backup, and find out "
            "who could write to the folder. What ServiceNow holds is not affected."
        )
