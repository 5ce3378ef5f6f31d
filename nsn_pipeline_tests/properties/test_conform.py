"""What must hold for any rows NetSuite could send, however strange."""

from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nsn_pipeline.conform.conform import conform
from nsn_pipeline.conform.outcome import Documents, Outcome
from nsn_pipeline.conform.values import decimal_text
from nsn_pipeline.records.canonical import canonical_schema, to_canonical
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.records.spec import MONEY_TYPE, Kind
from nsn_pipeline_tests.unit.conform.world import SEED, context, judge, references

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CONTEXT = context(references())

AMOUNTS = st.one_of(
    st.decimals(-1000, 1000, places=2).map(str),
    st.sampled_from(["", "0", "-0.00", ".5", "1e3", "1,0", "9" * 25, "1.123456789", "x"]),
)
IDS = st.sampled_from(["1", "2", "3", "", "a^b", "4,5", "é"])
KNOWN: dict[str, st.SearchStrategy[str]] = {
    "type": st.sampled_from(["VendBill", "VendCred", "PurchOrd", "Journal", "?"]),
    "status": st.sampled_from(["A", "B", "D", "VendBill:A", "zz"]),
    "vendor_id": st.sampled_from(["451", "452", "999", ""]),
    "currency_id": st.sampled_from(["1", "5", "6", "77", ""]),
    "department_id": st.sampled_from(["12", "14", "15", "404", ""]),
    "subsidiary_id": st.sampled_from(["1", "3", "88"]),
    "brought_by": st.sampled_from(["change", "reference"]),
    "change_day": st.sampled_from(["2026-03-02", "2026-03-03"]),
}
ACCOUNT_IDS = st.sampled_from(["111", "642", "58", "716", "900", "990", "404", ""])
BY_KIND: dict[Kind, st.SearchStrategy[str]] = {
    Kind.DATE: st.sampled_from(["2026-03-02", "2026-02-30", "3/2/2026", ""]),
    Kind.INSTANT: st.sampled_from(["2026-03-02T17:05:41Z", "later"]),
    Kind.FLAG: st.sampled_from(["T", "F", "yes", ""]),
    Kind.INTEGER: st.sampled_from(["1", "2", "-3", "1.5", "many"]),
    Kind.TEXT: st.text(max_size=50),
    Kind.ID: IDS,
    Kind.MONEY: AMOUNTS,
    Kind.QUANTITY: AMOUNTS,
    Kind.RATE: AMOUNTS,
}
IDENTITIES = ("internal_id", "document_id", "line_id")


def value(name: str, kind: Kind) -> st.SearchStrategy[str]:
    if name.endswith("account_id"):
        return ACCOUNT_IDS
    return KNOWN.get(name, BY_KIND[kind])


def rows(record_type: str, part: str, max_size: int = 6) -> st.SearchStrategy[list[dict[str, Any]]]:
    source = getattr(REGISTRY[record_type], part)
    names = {column.name: column.kind for column in source.columns}
    names |= {"change_day": Kind.TEXT, "brought_by": Kind.ID}
    if record_type == "vendor_bill" and part == "lines":
        names |= dict.fromkeys(("posting_account_id", "po_id", "po_line_id"), Kind.ID)
    optional = {name: value(name, kind) for name, kind in names.items()}
    return st.lists(st.fixed_dictionaries({}, optional=optional), max_size=max_size)


def distinct_documents(headers: list[dict[str, Any]], lines: list[dict[str, Any]]) -> int:
    named = {row["internal_id"] for row in headers if "internal_id" in row}
    nameless = sum("internal_id" not in row for row in headers)
    stray = {row.get("document_id") for row in lines} - named
    return len(named) + nameless + len(stray)


def check_laws(outcome: Outcome, read: int) -> None:
    assert outcome.read == read == outcome.accepted + outcome.rejected
    assert len(outcome.documents) == read
    rejected = set(outcome.rejected_ids)
    told = {key if isinstance(key, str) else "" for key in outcome.problems["document_id"]}
    assert told == rejected
    if outcome.record_type != "gl_posting":
        assert len(outcome.headers) + outcome.skipped == outcome.accepted
    for frame in filter(lambda one: one is not None, (outcome.headers, outcome.lines)):
        texts = [name for name in frame.columns if not name.startswith("_")]
        assert not frame[texts].isna().any().any()
        assert frame["_key"].is_unique
        assert not frame["_key"].str.contains(r"[\^,\n]").any()
        assert not set(frame["_document_id"]) & rejected
    assert outcome.problems["remedy"].str.endswith(".").all()
    sums = outcome.amounts().values()
    listed = [amount for amount in outcome.documents["amount"] if isinstance(amount, Decimal)]
    assert sum((one.read for one in sums), Decimal(0)) == sum(listed, Decimal(0))


@QUICK
@given(rows("vendor_bill", "header"), rows("vendor_bill", "lines"))
def test_every_bill_is_either_accepted_or_rejected(headers, lines) -> None:
    check_laws(judge("vendor_bill", headers, lines), distinct_documents(headers, lines))


@QUICK
@given(rows("purchase_order", "header"), rows("purchase_order", "lines"))
def test_every_order_is_either_accepted_or_rejected(headers, lines) -> None:
    check_laws(judge("purchase_order", headers, lines), distinct_documents(headers, lines))


@QUICK
@given(rows("vendor", "header"))
def test_every_vendor_is_either_accepted_or_rejected(headers) -> None:
    check_laws(judge("vendor", headers), distinct_documents(headers, []))


@QUICK
@given(rows("gl_posting", "header"))
def test_every_posted_transaction_is_either_accepted_or_rejected(headers) -> None:
    check_laws(judge("gl_posting", headers), len({row.get("document_id") for row in headers}))


@QUICK
@given(st.sampled_from(["gl_account", "cost_center"]), st.data())
def test_every_dimension_row_is_either_accepted_or_rejected(name, data) -> None:
    headers = data.draw(rows(name, "header"))

    check_laws(judge(name, headers), distinct_documents(headers, []))


@QUICK
@given(
    st.lists(
        st.tuples(
            st.lists(st.decimals(-999, 999, places=2), min_size=1, max_size=4),
            st.sampled_from(["642", "58", "716"]),
        ),
        max_size=5,
    )
)
def test_conforming_keeps_the_sum_of_line_amounts(documents) -> None:
    headers, lines = [], []
    for number, (amounts, account) in enumerate(documents):
        key = str(number)
        headers.append(
            {"internal_id": key, "type": "VendBill", "vendor_id": "451", "status": "A",
             "transaction_date": "2026-03-02", "currency_id": "1", "total": str(-sum(amounts))}
        )  # fmt: skip
        lines += [
            {"document_id": key, "line_id": str(at), "is_main": "F", "amount": str(amount),
             "posting_account_id": account}
            for at, amount in enumerate(amounts)
        ]  # fmt: skip

    outcome = judge("vendor_bill", headers, lines)

    good = [amounts for amounts, account in documents if account != "716"]
    assert outcome.accepted == len(good)
    assert outcome.lines is not None
    written = [Decimal(text) for text in outcome.lines["u_line_amount"]]
    assert sum(written, Decimal(0)) == sum((sum(amounts) for amounts in good), Decimal(0))
    totals = [Decimal(text) for text in outcome.headers["u_total_amount"]]
    assert totals == [sum(amounts) for amounts in good]


@QUICK
@given(rows("vendor_bill", "header"), rows("vendor_bill", "lines"))
def test_a_bill_is_judged_alike_alone_and_among_others(headers, lines) -> None:
    outcome = judge("vendor_bill", headers, lines)

    for key in {row["internal_id"] for row in headers if row.get("internal_id")}:
        alone = judge(
            "vendor_bill",
            [row for row in headers if row.get("internal_id") == key],
            [row for row in lines if row.get("document_id") == key],
        )
        assert (alone.accepted == 1) == (key in outcome.accepted_ids)
        mine = outcome.problems[outcome.problems["document_id"] == key]
        assert mine["remedy"].to_list() == alone.problems["remedy"].to_list()


STRANGE = st.one_of(
    st.none(), st.text(max_size=5), st.integers(), st.booleans(), st.floats(), st.dates(),
    st.decimals(allow_nan=False, allow_infinity=False),
)  # fmt: skip


@QUICK
@given(st.data())
def test_frames_of_any_dtype_are_judged_and_never_raise(data) -> None:
    """Not what the extract lands, but a frame is only a frame."""
    size = data.draw(st.integers(0, 4))

    def strange(names: tuple[str, ...]) -> pd.DataFrame:
        chosen = data.draw(st.lists(st.sampled_from(names), unique=True))
        return pd.DataFrame(
            {
                name: pd.Series(
                    data.draw(st.lists(STRANGE, min_size=size, max_size=size)), dtype=object
                )
                for name in chosen
            },
            index=range(size) if chosen else None,
        )

    record = REGISTRY["vendor_bill"]
    assert record.lines is not None
    documents = Documents(strange(record.header.names), strange(record.lines.names))
    outcome = conform(documents, SEED.targets["vendor_bill"], CONTEXT, SEED)

    assert outcome.read == outcome.accepted + outcome.rejected
    assert outcome.read >= len(documents.headers.drop_duplicates())


ANY_TEXT = st.one_of(
    st.text(st.characters(), max_size=30),
    st.from_regex(r"[-+]?[0-9]{0,30}\.?[0-9]{0,12}", fullmatch=True),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?", fullmatch=True),
)


@settings(QUICK, max_examples=200)
@given(st.sampled_from(list(REGISTRY)), st.data())
def test_reading_never_raises_and_keeps_what_it_cannot_read(name, data) -> None:
    source = REGISTRY[name].header
    names = st.sampled_from(source.names)
    received = data.draw(st.lists(st.dictionaries(names, ANY_TEXT, max_size=8), max_size=5))

    table = to_canonical(received, source)

    assert table.schema == canonical_schema(source)
    for column in source.columns:
        for row, (typed, raw) in enumerate(
            zip(
                table[column.name].to_pylist(),
                table[f"raw_{column.name}" if column.keeps_raw else column.name].to_pylist(),
                strict=True,
            )
        ):
            text = received[row].get(column.name)
            kept = None if text is None else text.encode("utf-8", "replace").decode()
            assert raw == kept
            if column.kind in {Kind.MONEY, Kind.RATE} and typed is not None:
                assert typed == (-Decimal(raw) if column.negate else Decimal(raw))
            if column.kind is Kind.DATE and typed is not None:
                assert typed.isoformat() == raw


@settings(QUICK, max_examples=200)
@given(
    st.decimals(Decimal(-(10**20)) + 1, Decimal(10**20) - 1, places=8),
    st.integers(0, 8),
    st.booleans(),
)
def test_amount_text_is_the_amount_without_the_digits_beyond_its_places(
    number, places, trim
) -> None:
    text = decimal_text(pa.array([number], MONEY_TYPE), places, trim=trim)[0].as_py()

    unit = Decimal(1).scaleb(-places)
    assert Decimal(text) == number.quantize(unit, rounding="ROUND_DOWN")
    assert not text.startswith("-0") or Decimal(text) != 0
    assert "E" not in text
    assert trim or len(text.partition(".")[2]) == places
