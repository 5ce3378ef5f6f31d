"""`nsn mapping check` and `suggest`: what the mapping files say against what both systems have.

A suggestion is never applied: it goes into a file that no run reads, with the target left empty,
under more columns than a mapping file may have. A person fills in the code and moves the line.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
from rich.console import Console
from rich.markup import escape

from nsn_pipeline.amounts import money_text
from nsn_pipeline.audit.rejections import counted
from nsn_pipeline.audit.spreadsheet import csv_text
from nsn_pipeline.conform.crosswalk import OVERRIDE_COLUMNS, CrosswalkKind
from nsn_pipeline.connections import OVERRIDE_FILES, Connections
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.orchestration.assets.mapping import headline
from nsn_pipeline.orchestration.mapping_view import MappingView, mapping_view, read_usage
from nsn_pipeline.orchestration.snapshots import landed_decimals
from nsn_pipeline.settings import load_settings

SUGGESTION_COLUMNS = (
    "file",
    *OVERRIDE_COLUMNS,
    "netsuite_name",
    "reason",
    "candidate",
    "candidate_name",
    "why",
    "waiting",
    "at_stake",
)


def run_check(console: Console, kinds: Sequence[str], *, as_json: bool) -> bool:
    """Print faults, flags and coverage of each file; whether a run would accept them all."""
    with Connections(load_settings(), run_id="nsn-mapping") as connections:
        decimals = landed_decimals(connections.landing)
        named = cast("Sequence[CrosswalkKind]", kinds)
        usage = read_usage(connections)
        told = [_checked(connections, kind, usage, decimals) for kind in named]
    if as_json:
        print(json.dumps(told, indent=1))
        return not any(one["faults"] for one in told)
    for one in told:
        console.print(f"[bold]{one['file']}[/bold]", highlight=False)
        for fault in one["faults"]:
            console.print(f"  [red]fault[/red] {escape(fault)}", highlight=False)
        for flag in one["flags"]:
            console.print(f"  [yellow]look[/yellow]  {escape(flag)}", highlight=False)
        console.print(f"  {one['coverage']}", highlight=False)
    return not any(one["faults"] for one in told)


def _checked(
    connections: Connections, kind: CrosswalkKind, usage: pa.Table, decimals: Mapping[str, int]
) -> dict[str, Any]:
    file = f"mappings/{OVERRIDE_FILES[kind]}"
    try:
        view = mapping_view(connections, kind, usage)
    except ConfigurationError as error:
        faults = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        return {"file": file, "faults": faults, "flags": [], "coverage": "not known: see above"}
    return {
        "file": file,
        "faults": [f"line {line}: {text}" for line, text in view.faults],
        "flags": [
            f"line {one.line}: {one.subject} to {one.servicenow_code}: {why}"
            for one, why in view.flags.items()
        ],
        "coverage": headline(view, decimals),
    }


def run_suggest(console: Console, kinds: Sequence[str], out: Path | None) -> bool:
    """Write the candidates to `out`, or print them as JSON without one; whether any code lacks.

    Raises ConfigurationError when the file exists: somebody may be working in it.
    """
    if out is not None and out.exists():
        raise ConfigurationError(f"{out} exists: name another file with --out, or remove it")
    with Connections(load_settings(), run_id="nsn-mapping") as connections:
        decimals = landed_decimals(connections.landing)
        usage, named = read_usage(connections), cast("Sequence[CrosswalkKind]", kinds)
        views = [mapping_view(connections, kind, usage) for kind in named]
    rows = [row for view in views for row in suggestions(view, decimals)]
    if out is None:
        print(json.dumps(rows, indent=1))
        return bool(rows)
    for view in views:
        console.print(f"{view.kind}: {headline(view, decimals)}", highlight=False)
    if not rows:
        return False
    try:
        out.write_text(csv_text(SUGGESTION_COLUMNS, rows), encoding="utf-8-sig", newline="")
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written: {error.strerror}") from error
    alike = sum(bool(row["candidate"]) for row in rows)
    console.print(
        f"{out}: {len(rows)} lines, {alike} with a candidate. Nothing is applied: confirm each "
        f"with its owner, fill in servicenow_code, and move the columns {OVERRIDE_COLUMNS[0]} to "
        f"{OVERRIDE_COLUMNS[-1]} into the file the first column names. Then: nsn mapping check",
        soft_wrap=True,
        highlight=False,
    )
    return True


def suggestions(view: MappingView, decimals: Mapping[str, int]) -> list[dict[str, str]]:
    """One row per unmapped code and candidate; a code that looks like nothing has one, too."""
    empty = dict.fromkeys(SUGGESTION_COLUMNS, "")
    rows: list[dict[str, str]] = []
    for one in view.unmapped:
        told = empty | {
            "file": f"mappings/{OVERRIDE_FILES[view.kind]}",
            # By code where there is one: that is how finance knows it.
            "netsuite_id": "" if one.code else one.internal_id,
            "netsuite_code": one.code,
            "netsuite_name": one.name,
            "reason": one.reason,
            "waiting": ", ".join(counted(one.stake.documents)),
            "at_stake": money_text(one.stake.amounts.get("vendor_bill", {}), decimals),
        }
        rows.extend(
            told | {"candidate": c.code, "candidate_name": c.name, "why": c.why}
            for c in one.candidates
        )
        if not one.candidates:
            rows.append(told)
    return rows
