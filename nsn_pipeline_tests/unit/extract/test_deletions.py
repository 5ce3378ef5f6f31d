"""Deletions and silent transactions, read from the simulator's own SuiteQL engine."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nsn_pipeline.clients.suiteql import in_list, select
from nsn_pipeline.errors import MissingColumnError, MissingTableError
from nsn_pipeline.extract.deletions import read_deletions, read_unposted
from nsn_pipeline.extract.window import Window
from nsn_pipeline.records.spec import Source
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions
from nsn_pipeline.sandbox.netsuite.store import Store
from nsn_pipeline.sandbox.netsuite.suiteql import Engine, connection_functions

WEEK = [f"2026-03-0{day}" for day in range(2, 9)]
ZONE = "America/New_York"
WINDOW = Window.over(WEEK, ZONE)


class Client:
    """Reads one store as the real client would; says no as the account's role is told to."""

    def __init__(self, store: Store, *, missing_columns: Sequence[str] = ()) -> None:
        self.store = store
        self.engine = Engine(store, NetSuiteOptions())
        self.missing_columns = missing_columns
        self.has_table = True
        self.notes: list[str] = []
        self.pages_read: list[int] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def query(self, text: str, params: Sequence[str] = ()) -> list[dict[str, str]]:
        if not self.has_table and "deletedrecord" in text:
            raise MissingTableError("Record 'deletedrecord' was not found.", name="deletedrecord")
        for column in self.missing_columns:
            if column in text:
                raise MissingColumnError(f"unknown identifier {column}", name=column)
        page = self.engine.page(text, list(params), 1000, 0)
        rows = [{k: str(v) for k, v in item.items() if k != "links"} for item in page.items]
        assert len(rows) == page.total, "more than one page"
        self.pages_read.append(len(rows))
        return rows

    def pages(
        self, source: Source, *, where: str = "", params: Sequence[str] = (), columns: Any = None
    ) -> Iterator[list[dict[str, str]]]:
        statement = select(source, where=where, params=params, columns=columns)
        yield self.query(statement.text, statement.params)

    def rows_in(
        self, source: Source, column: str, values: Sequence[str], *, columns: Any = None
    ) -> Iterator[list[dict[str, str]]]:
        for start in range(0, len(values), 900):
            condition = in_list(column, list(values[start : start + 900]))
            yield from self.pages(
                source, where=condition.where, params=condition.params, columns=columns
            )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    options = NetSuiteOptions()
    found = Store(tmp_path / "a.db", configure=connection_functions(options))
    found.create_schema()
    yield found
    found.close()


def deleted(store: Store, *rows: tuple[str, str, str]) -> None:
    names = ("recordid", "type", "deleteddate")
    store.insert("deletedrecord", [dict(zip(names, row, strict=True)) for row in rows])


def read(client: Client, **own: str) -> dict[str, list[tuple[str, str, bool]]] | None:
    found = read_deletions(client, WINDOW, own)  # pyright: ignore[reportArgumentType]
    if found is None:
        return None
    return {
        day: sorted((one.record_id, one.record_type, one.is_gone) for one in ones)
        for day, ones in found.items()
        if ones
    }


def test_a_deletion_belongs_to_the_local_day_it_was_made_on(store: Store) -> None:
    deleted(
        store,
        ("1", "purchaseorder", "2026-03-02T04:59:59Z"),  # still the 1st in New York
        ("2", "purchaseorder", "2026-03-02T05:00:00Z"),
        ("3", "purchaseorder", "2026-03-09T03:59:59Z"),  # the 8th: clocks went forward
        ("4", "purchaseorder", "2026-03-09T04:00:00Z"),
    )
    assert read(Client(store)) == {
        "2026-03-02": [("2", "purchase_order", True)],
        "2026-03-08": [("3", "purchase_order", True)],
    }


@pytest.mark.parametrize(
    ("spelling", "types"),
    [
        ("purchaseorder", ["purchase_order"]),
        ("PurchOrd", ["purchase_order"]),
        ("Purchase Order", ["purchase_order"]),
        ("vendorbill", ["gl_posting", "vendor_bill"]),
        ("VendCred", ["gl_posting", "vendor_bill"]),
        ("Bill Credit", ["gl_posting", "vendor_bill"]),
        ("VENDOR_PAYMENT", ["gl_posting"]),
        ("journalentry", ["gl_posting"]),
        ("vendor", ["vendor"]),
        ("transaction", ["gl_posting", "purchase_order", "vendor_bill"]),
        ("inventoryitem", [""]),
        ("mine", ["vendor_bill"]),
    ],
)
def test_known_spellings_of_a_type_are_told_apart(
    store: Store, spelling: str, types: list[str]
) -> None:
    deleted(store, ("7", spelling, "2026-03-04T12:00:00Z"))
    found = read(Client(store), Mine="vendor_bill")
    assert found is not None
    assert [kind for _, kind, _ in found["2026-03-04"]] == types
    assert {gone for _, kind, gone in found["2026-03-04"] if kind} <= {True}


def test_a_record_that_netsuite_finds_is_not_gone(store: Store) -> None:
    store.insert(
        "transaction", [{"id": "7", "type": "VendBill", "lastmodifieddate": f"{WEEK[0]}T12:00:00Z"}]
    )
    store.insert(
        "vendor", [{"id": "8", "entityid": "x", "lastmodifieddate": f"{WEEK[0]}T12:00:00Z"}]
    )
    at = "2026-03-04T12:00:00Z"
    deleted(store, ("7", "vendorbill", at), ("8", "vendor", at), ("7", "vendor", at))
    assert read(Client(store)) == {
        "2026-03-04": [
            ("7", "gl_posting", False),
            ("7", "vendor", True),  # vendor 7 is another record than bill 7
            ("7", "vendor_bill", False),
            ("8", "vendor", False),
        ]
    }


def test_more_deletions_than_a_page_holds_are_all_read(store: Store) -> None:
    minutes = [f"2026-03-04T{n // 60:02}:{n % 60:02}:00Z" for n in range(1_400)]
    deleted(store, *((str(n), "vendorpayment", at) for n, at in enumerate(minutes, 1)))
    deleted(store, *((str(n), "journalentry", "2026-03-05T12:00:00Z") for n in range(5_000, 5_900)))
    client = Client(store)
    found = read(client)
    assert found is not None
    assert sum(map(len, found.values())) == 2_300
    assert max(client.pages_read) <= 1_000


def test_the_same_deletion_told_twice_does_not_stop_the_day(store: Store) -> None:
    at = "2026-03-04T12:00:00Z"
    deleted(store, ("7", "purchaseorder", at), ("7", "purchaseorder", at))
    assert read(Client(store)) == {"2026-03-04": [("7", "purchase_order", True)] * 2}


def test_a_role_without_the_permission_is_told_apart_from_a_day_without_deletions(
    store: Store,
) -> None:
    client = Client(store)
    assert read(client) == {}
    client.has_table = False
    assert read(client) is None


def test_optional_columns_may_be_missing(store: Store) -> None:
    deleted(store, ("7", "purchaseorder", "2026-03-04T12:00:00Z"))
    client = Client(store, missing_columns=("d.recordtypeid", "d.scriptid"))
    assert read(client) == {"2026-03-04": [("7", "purchase_order", True)]}


@pytest.mark.parametrize(
    ("posting", "voided", "silent"),
    [("T", "F", False), ("F", "F", True), ("T", "T", True), ("F", "T", True)],
)
def test_transactions_that_post_nothing_say_so(
    store: Store, posting: str, voided: str, silent: bool
) -> None:
    row = {"type": "VendBill", "posting": posting, "voided": voided}
    inside, outside = f"{WEEK[2]}T12:00:00Z", "2026-03-20T12:00:00Z"
    store.insert(
        "transaction",
        [
            {"id": "1", **row, "lastmodifieddate": inside},
            {"id": "2", **row, "lastmodifieddate": outside},
            {"id": "3", **row, "type": "PurchOrd", "lastmodifieddate": inside},
        ],
    )
    client: Any = Client(store)
    found = read_unposted(client, WINDOW, ("VendBill", "Journal"))
    assert found[WEEK[2]] == (["1"] if silent else [])
    assert sum(map(len, found.values())) == silent


def test_without_a_posting_column_no_transaction_is_silent(store: Store) -> None:
    client: Any = Client(store, missing_columns=("t.posting",))
    assert set(map(len, read_unposted(client, WINDOW, ("VendBill",)).values())) == {0}
    assert "posting is not readable" in client.notes[0]
