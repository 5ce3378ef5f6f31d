from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from nsn_pipeline.records.canonical import canonical_schema, to_canonical, validate_schema
from nsn_pipeline.records.registry import LOOKUPS, REGISTRY
from nsn_pipeline.records.spec import Column, Kind, Source


def source(kind: Kind, *, negate: bool = False) -> Source:
    return Source("t", "t", (Column("value", "t.value", kind, negate=negate),), ("t.value",))


def read(kind: Kind, text: str | None, *, negate: bool = False) -> object:
    rows = [{} if text is None else {"value": text}]
    return to_canonical(rows, source(kind, negate=negate))["value"].to_pylist()[0]


READABLE = [
    (Kind.MONEY, "1250", Decimal(1250)),
    (Kind.MONEY, "-1250.00", Decimal(-1250)),
    (Kind.MONEY, ".5", Decimal("0.5")),
    (Kind.MONEY, "-.5", Decimal("-0.5")),
    (Kind.MONEY, "5.", Decimal(5)),
    (Kind.MONEY, "+3", Decimal(3)),
    (Kind.MONEY, "0", Decimal(0)),
    (Kind.MONEY, "-0.00", Decimal(0)),
    (Kind.MONEY, "00012.10", Decimal("12.1")),
    (Kind.MONEY, "0.00000001", Decimal("0.00000001")),
    (Kind.MONEY, "1.1234567800", Decimal("1.12345678")),
    (Kind.MONEY, "99999999999999999999.99999999", Decimal("99999999999999999999.99999999")),
    (Kind.RATE, "3.33333333", Decimal("3.33333333")),
    (Kind.QUANTITY, "10", Decimal(10)),
    (Kind.DATE, "2026-03-02", date(2026, 3, 2)),
    (Kind.DATE, "2024-02-29", date(2024, 2, 29)),
    (Kind.DATE, "1000-01-01", date(1000, 1, 1)),
    (Kind.DATE, "9999-12-31", date(9999, 12, 31)),
    (Kind.INSTANT, "2026-03-02T17:05:41Z", datetime(2026, 3, 2, 17, 5, 41, tzinfo=UTC)),
    (Kind.INTEGER, "7", 7),
    (Kind.INTEGER, "-7.0", -7),
    (Kind.FLAG, "T", True),
    (Kind.FLAG, "F", False),
    (Kind.TEXT, " as it is ", " as it is "),
    (Kind.ID, "007", "007"),
]


@pytest.mark.parametrize(("kind", "text", "value"), READABLE)
def test_readable_text_becomes_a_typed_value(kind: Kind, text: str, value: object) -> None:
    found = read(kind, text)

    assert found == value
    assert type(found) is type(value)


UNREADABLE = [
    (Kind.MONEY, "1,250.00"),
    (Kind.MONEY, "1e5"),
    (Kind.MONEY, "£5"),
    (Kind.MONEY, ""),
    (Kind.MONEY, " 5"),
    (Kind.MONEY, "."),
    (Kind.MONEY, "--5"),
    (Kind.MONEY, "1.123456789"),
    (Kind.MONEY, "123456789012345678901"),
    (Kind.MONEY, "٣"),
    (Kind.MONEY, "5\n"),
    (Kind.DATE, "2026-02-30"),
    (Kind.DATE, "2/3/2026"),
    (Kind.DATE, "0000-01-01"),
    (Kind.DATE, "2026-03-02\n"),
    (Kind.INSTANT, "2026-03-02 17:05:41"),
    (Kind.INSTANT, "2026-03-02T24:00:00Z"),
    (Kind.INSTANT, "2026-03-02T17:05:41+01:00"),
    (Kind.INTEGER, "1.5"),
    (Kind.INTEGER, "9" * 19),
    (Kind.FLAG, "true"),
    (Kind.FLAG, "t"),
]


@pytest.mark.parametrize(("kind", "text"), UNREADABLE)
def test_unreadable_text_becomes_null_and_is_kept(kind: Kind, text: str) -> None:
    table = to_canonical([{"value": text}], source(kind))

    assert table["value"].to_pylist() == [None]
    assert table["raw_value"].to_pylist() == [text]


def test_negated_column_has_the_opposite_sign_and_the_text_as_received() -> None:
    table = to_canonical([{"value": "-1250"}], source(Kind.MONEY, negate=True))

    assert table.to_pylist() == [{"value": Decimal(1250), "raw_value": "-1250"}]


def test_absent_key_is_null() -> None:
    assert read(Kind.MONEY, None) is None


def test_arrow_table_in_pieces_reads_like_a_list_of_rows() -> None:
    rows = [{"value": str(number)} for number in range(5)]
    pieces = pa.table({"value": pa.chunked_array([["0", "1"], ["2", "3", "4"]])})

    assert to_canonical(pieces, source(Kind.MONEY)).equals(to_canonical(rows, source(Kind.MONEY)))


def test_half_a_surrogate_pair_does_not_stop_the_page() -> None:
    rows = [{"value": "\ud800"}, {"value": "fine"}]

    assert to_canonical(rows, source(Kind.TEXT))["value"].to_pylist() == ["?", "fine"]


@pytest.mark.parametrize("record", REGISTRY.values(), ids=lambda record: record.name)
def test_every_source_gives_its_schema_also_without_rows(record) -> None:
    for one in filter(None, (record.header, record.lines)):
        assert to_canonical([], one).schema == canonical_schema(one)


def landed(record_type: str) -> pd.DataFrame:
    table = canonical_schema(REGISTRY[record_type].header).empty_table()
    for name in ("change_day", "brought_by"):
        table = table.append_column(name, pa.array([], pa.string()))
    table = table.append_column("changed_at", pa.array([], pa.timestamp("us", tz="UTC")))
    return table.to_pandas(types_mapper=pd.ArrowDtype)


@pytest.mark.parametrize("name", ["vendor", "purchase_order", "vendor_bill", "gl_posting"])
def test_landed_frame_has_the_shape_of_its_model(name: str) -> None:
    assert validate_schema(landed(name), REGISTRY[name].schema) == []


def test_shape_faults_name_every_missing_and_mistyped_column() -> None:
    frame = landed("vendor_bill").drop(columns=["memo"]).astype({"total": "float64"})

    faults = validate_schema(frame, REGISTRY["vendor_bill"].schema)

    assert faults[0] == "column memo is missing"
    assert faults[1].startswith("column total is float64: wants")
    assert len(faults) == 2


def test_bad_values_are_no_shape_fault() -> None:
    frame = to_canonical([{"symbol": "nonsense"}], LOOKUPS["currencies"])
    model = REGISTRY["gl_account"].schema
    rows = to_canonical([{"internal_id": "1"}, {"internal_id": "1"}], REGISTRY["gl_account"].header)

    assert frame.num_rows == 1
    assert validate_schema(rows.to_pandas(types_mapper=pd.ArrowDtype), model) == []
