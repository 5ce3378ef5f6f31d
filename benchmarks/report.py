"""Results as JSON to keep, and as tables to read: ratios first, never a lone absolute time."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

PACKAGES = ("requests", "orjson", "pandas", "redis", "pysnc", "dlt", "netsuite", "dagster")
WRITE = {
    "client": "client", "connections": "C", "records_per_s": "rec/s",
    "of_bound": "of bound", "x_pysnc_loop": "x PySNC", "x_dlt": "x dlt",
    "x_cpu_floor": "x CPU floor", "x_cpu_bare": "x bare CPU", "calls_per_record": "calls / rec",
}  # fmt: skip
# Of the other scenarios; eight of them fit a terminal of 80 columns.
HEADINGS = {
    "connections": "C", "records": "records", "records_per_s": "rec/s", "calls": "calls",
    "refused": "429s", "calls_after_10_s": "after 10 s", "refused_after_10_s": "429s",
    "of_best_fixed": "of best", "pages_per_s": "pages/s", "of_simulator": "of own rate",
    "cpu_us_per_row": "CPU us/row", "load_records_per_s": "load rec/s", "of_bound": "of bound",
    "whole_run_records_per_s": "run rec/s", "cpu_us_per_record": "CPU us/rec", "peak_mb": "peak MB",
}  # fmt: skip
SHARES = {"of_bound", "of_best_fixed", "of_simulator", "of_pages", "events_share"}


def save(results: Mapping[str, Any], path: Path) -> None:
    """Write what was measured, and on what."""
    about = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "load_average_at_end": round(os.getloadavg()[0], 1),
        "packages": {name: _version(name) for name in PACKAGES},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"about": about, **results}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def show(console: Console, results: Mapping[str, Any]) -> None:
    for scenario, found in results.items():
        if "skipped" in found:
            console.print(f"{scenario}: skipped, {found['skipped']}")
            continue
        columns = WRITE if scenario == "write" else _headings(found["rows"][0])
        console.print(_table(scenario, columns, found["rows"]))
        for name, value in found.items():
            if name != "rows":
                console.print(f"  {name}: {value}")


def _headings(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: HEADINGS.get(name, name) for name in row}


def markdown(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    """The same table for a document."""
    lines = [" | ".join(columns.values()), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_text(name, row[name]) for name in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _table(title: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> Table:
    # Without lines between columns: nine fit a terminal of 80 characters then.
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    for number, heading in enumerate(columns.values()):
        table.add_column(heading, justify="right" if number else "left", no_wrap=not number)
    for row in rows:
        table.add_row(*(_text(name, row[name]) for name in columns))
    return table


def _text(name: str, value: object) -> str:
    if name in SHARES and isinstance(value, float):
        return f"{value:.1%}"
    if isinstance(value, float) and value >= 1000:  # noqa: PLR2004 - the decimal says nothing then
        return f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
