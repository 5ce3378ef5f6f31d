"""From rows as NetSuite sends them (text) to typed columns, without ever losing what was sent.

Reading never fails on data: text that cannot be typed becomes null, and the text itself stays in
`raw_<name>` for `conform` to name in a rejection. Only a wrong shape of the frame itself, missing
or mistyped columns, is an error, and `validate_schema` lists those.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
import pyarrow as pa
from pandera.errors import SchemaErrors
from pandera.pandas import DataFrameModel

from nsn_pipeline.records.arrow import one_chunk, pc
from nsn_pipeline.records.spec import ARROW_TYPES, MONEY_TYPE, Column, Kind, Source

# Sign, digits, point. No exponent, no thousands separator, no currency sign: NetSuite's SuiteQL
# sends none of them, and reading one would be a guess. Zeros that carry no value are stripped
# before the digits are counted.
_DECIMAL = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
_DECIMAL_FITS = r"^-?[0-9]{0,20}(?:\.[0-9]{0,8})?$"
# Years below 1000 are typing slips, and year 0 is not a date in Python at all.
_DATE = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_INSTANT = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
_INTEGER = r"^[+-]?[0-9]{1,18}$"
_INTEGER_POINT = r"^(?:[+-]?[0-9]{1,18})\.0*$"


def to_canonical(rows: pa.Table | Sequence[Mapping[str, str | None]], source: Source) -> pa.Table:
    """Typed columns of `source`, each readable kind followed by its received text.

    A key that is absent is null, as NetSuite leaves nulls out (docs/facts/netsuite.md 4.3).
    """
    table = rows if isinstance(rows, pa.Table) else _from_records(rows, source)
    columns: dict[str, pa.Array] = {}
    for column in source.columns:
        text = _text_column(table, column.name)
        columns[column.name] = typed(text, column)
        if column.keeps_raw:
            columns[f"raw_{column.name}"] = text
    return pa.table(columns, schema=canonical_schema(source))


def canonical_schema(source: Source) -> pa.Schema:
    """Arrow schema `to_canonical` gives; every page of a partition has it, empty ones too."""
    fields: list[pa.Field] = []
    for column in source.columns:
        fields.append(pa.field(column.name, column.arrow_type))
        if column.keeps_raw:
            fields.append(pa.field(f"raw_{column.name}", pa.string()))
    return pa.schema(fields)


def typed(text: pa.Array, column: Column) -> pa.Array:
    """`text` read as the column's kind; null where it cannot be."""
    match column.kind:
        case Kind.TEXT | Kind.ID:
            return text
        case Kind.FLAG:
            is_true = pc.equal(text, "T")
            return pc.if_else(
                pc.or_(is_true, pc.equal(text, "F")), is_true, pa.scalar(None, pa.bool_())
            )
        case Kind.DATE:
            return _dates(text)
        case Kind.INSTANT:
            return _instants(text)
        case Kind.INTEGER:
            return _integers(text)
        case Kind.MONEY | Kind.QUANTITY | Kind.RATE:
            values = _decimals(text)
            return pc.cast(pc.negate(values), MONEY_TYPE) if column.negate else values


def validate_schema(frame: pd.DataFrame, model: type[DataFrameModel]) -> list[str]:
    """Faults of the frame's shape: missing or mistyped columns. Values are not looked at.

    A bad value is a rejection of one document; a bad shape means that the whole frame is not what
    the next step believes it to be.
    """
    try:
        model.to_schema().validate(frame.head(0), lazy=True)
    except SchemaErrors as error:
        faults: list[str] = []
        for case in error.failure_cases.itertuples(index=False):
            if case.check == "column_in_dataframe":
                faults.append(f"column {case.failure_case} is missing")
            else:
                faults.append(f"column {case.column} is {case.failure_case}: wants {case.check}")
        return sorted(faults)
    return []


def _from_records(rows: Sequence[Mapping[str, str | None]], source: Source) -> pa.Table:
    return pa.table({name: _texts([row.get(name) for row in rows]) for name in source.names})


def _texts(values: list[str | None]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowException, UnicodeError):
        # A number where text was promised, or half a surrogate pair: keep what can be shown.
        return pa.array([None if v is None else _storable(v) for v in values], pa.string())


def _storable(value: object) -> str:
    text = ("T" if value else "F") if isinstance(value, bool) else str(value)
    return text.encode("utf-8", "replace").decode("utf-8")


def _text_column(table: pa.Table, name: str) -> pa.Array:
    if name not in table.column_names:
        return pa.nulls(table.num_rows, pa.string())
    values = one_chunk(table.column(name))
    return values if values.type == pa.string() else values.cast(pa.string())


def _only(text: pa.Array, pattern: str) -> pa.Array:
    """`text` where it matches, null elsewhere."""
    return pc.if_else(pc.match_substring_regex(text, pattern), text, pa.scalar(None, pa.string()))


def _decimals(text: pa.Array) -> pa.Array:
    plain = pc.utf8_ltrim(_only(text, _DECIMAL), "+")
    negative = pc.starts_with(plain, "-")
    digits = pc.utf8_ltrim(pc.utf8_ltrim(plain, "-"), "0")
    has_point = pc.match_substring(digits, ".")
    digits = pc.if_else(has_point, pc.utf8_rtrim(digits, "0"), digits)
    digits = _only(digits, _DECIMAL_FITS)
    digits = pc.utf8_rtrim(digits, ".")
    digits = pc.if_else(
        pc.or_(pc.equal(digits, ""), pc.starts_with(digits, ".")),
        pc.binary_join_element_wise("0", digits, ""),
        digits,
    )
    signed = pc.if_else(negative, pc.binary_join_element_wise("-", digits, ""), digits)
    return pc.cast(signed, MONEY_TYPE)


def _integers(text: pa.Array) -> pa.Array:
    # Oracle may write whole numbers with an empty fraction ("3." or "3.0").
    whole = pc.replace_substring_regex(_only(text, _INTEGER_POINT), r"\.0*$", "")
    plain = pc.coalesce(_only(text, _INTEGER), whole)
    return pc.cast(pc.utf8_ltrim(plain, "+"), ARROW_TYPES[Kind.INTEGER])


def _dates(text: pa.Array) -> pa.Array:
    # strptime checks the calendar and gives null for 30 February; a plain cast would raise.
    seconds = pc.strptime(_only(text, _DATE), "%Y-%m-%d", "s", error_is_null=True)
    return _if_same(seconds, text, "%Y-%m-%d").cast(pa.date32())


def _instants(text: pa.Array) -> pa.Array:
    pattern = "%Y-%m-%dT%H:%M:%SZ"
    seconds = pc.strptime(_only(text, _INSTANT), pattern, "s", error_is_null=True)
    checked = _if_same(seconds, text, pattern)
    return checked.cast(pa.timestamp("us")).cast(ARROW_TYPES[Kind.INSTANT])


def _if_same(parsed: pa.Array, text: pa.Array, pattern: str) -> pa.Array:
    """Null where writing the parsed value back does not give the text: a date that rolled over."""
    same = pc.equal(pc.strftime(parsed, pattern), text)
    return pc.if_else(same, parsed, pa.scalar(None, parsed.type))
