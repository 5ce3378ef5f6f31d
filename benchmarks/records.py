"""The records every client writes: twenty fields each, as a profile would map them."""

import random
from typing import Any

import pandas as pd

from nsn_pipeline.profiles.model import Converter, Target, TargetColumn

TABLE = "u_bench_invoice"
KEY = "u_netsuite_id"
_TEXTS = (
    ("number", 12), ("vendor_name", 28), ("memo", 60), ("subsidiary", 18), ("location", 14),
    ("department", 16), ("created_by", 20), ("approver", 20), ("terms", 8), ("external_id", 24),
    ("bank_reference", 30),
)  # fmt: skip
_COLUMNS = (
    *(TargetColumn(name, name, Converter("text", str(size))) for name, size in _TEXTS),
    TargetColumn("supplier", "supplier", Converter("text", "32")),
    TargetColumn("invoice_date", "invoice_date", Converter("date")),
    TargetColumn("due_date", "due_date", Converter("date")),
    TargetColumn("currency", "currency_code", Converter("text", "3")),
    TargetColumn(
        "total_amount", "total", Converter("money", "currency_code"), witness="u_total_amount"
    ),
    TargetColumn("u_total_amount", "total", Converter("decimal", "currency_code")),
    TargetColumn("quantity", "quantity", Converter("quantity")),
    TargetColumn("u_active", "active", Converter("flag")),
)  # fmt: skip
TARGET = Target(
    record_type="vendor_bill",
    table=TABLE,
    external_key=KEY,
    key_from="{internal_id}",
    columns=_COLUMNS,
)
FIELDS = (KEY, *(column.column for column in TARGET.columns))
assert len(FIELDS) == 20  # noqa: S101, PLR2004 - what the table of results says


def bodies(count: int, *, seed: int = 1) -> list[dict[str, str]]:
    """`count` different records, the same for the same seed."""
    draw = random.Random(seed)
    words = [
        "north",
        "ledger",
        "office",
        "supply",
        "repair",
        "annual",
        "licence",
        "freight",
        "survey",
        "council",
        "road",
    ]
    records: list[dict[str, str]] = []
    for number in range(count):
        record = {KEY: str(1_000_000 + number)}
        for name, size in _TEXTS:
            text = " ".join(draw.choice(words) for _ in range(size // 7 + 1))
            record[name] = f"{text[: size - 8].strip()} {number}"[:size].strip()
        total = f"{draw.randint(1, 9_999_999) / 100:.2f}"
        record |= {
            "supplier": f"{draw.getrandbits(128):032x}",
            "invoice_date": f"2026-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}",
            "due_date": f"2026-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}",
            "currency": "GBP",
            "total_amount": f"GBP;{total}",
            "u_total_amount": total,
            "quantity": str(draw.randint(1, 500)),
            "u_active": "true",
        }
        records.append(record)
    return records


def frame(records: list[dict[str, str]]) -> pd.DataFrame:
    """The same records as conform's accepted frame holds them."""
    columns: dict[str, Any] = {
        "_key": [record[KEY] for record in records],
        "_document_id": [record[KEY] for record in records],
        "_day": ["2026-01-05"] * len(records),
    }
    columns |= {name: [record[name] for record in records] for name in FIELDS[1:]}
    return pd.DataFrame(columns, dtype="str")


def check(wanted: list[dict[str, str]], tables: dict[str, list[dict[str, str]]]) -> None:
    """Every record is there once, with every value. Raises AssertionError."""
    held: dict[str, list[dict[str, str]]] = {}
    for row in tables.get(TABLE, []):
        held.setdefault(row.get(KEY, ""), []).append(row)
    missing = [record[KEY] for record in wanted if record[KEY] not in held]
    twice = [key for key, rows in held.items() if len(rows) > 1]
    wrong = [
        record[KEY]
        for record in wanted
        if record[KEY] in held
        and any(held[record[KEY]][0].get(name) != record[name] for name in FIELDS)
    ]
    strangers = len(held) - len(wanted) + len(missing)
    if missing or twice or wrong or strangers:
        raise AssertionError(
            f"{len(missing)} missing, {len(twice)} twice, {len(wrong)} wrong, {strangers} strange"
        )
