"""Loading and administering the account's data."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from nsn_pipeline.sandbox.netsuite.store import Store, StoreError


@pytest.fixture
def store(tmp_path: Path) -> Any:
    found = Store(tmp_path / "a.db", clock=lambda: 1_783_000_000.0)
    found.create_schema()
    yield found
    found.close()


def test_schema_can_be_created_again(store: Store) -> None:
    store.insert("term", [{"id": "1"}])
    store.create_schema()
    assert store.connection().execute("SELECT COUNT(*) FROM term").fetchone() == (1,)


BAD = {
    "unknown column": ("vendor", {"id": "1", "shoe_size": "9"}, "shoe_size"),
    "flag": ("vendor", {"id": "1", "isinactive": "true"}, "neither T nor F"),
    "whole number": ("vendor", {"id": "x"}, "not a whole number"),
    "decimal": ("transaction", {"id": "1", "foreigntotal": "1,250"}, "not a decimal"),
    "exponent": ("transaction", {"id": "1", "foreigntotal": "1e3"}, "not a decimal"),
    "date": ("transaction", {"id": "1", "trandate": "2.3.2026"}, "column trandate"),
    "instant without zone": (
        "vendor", {"id": "1", "lastmodifieddate": "2026-01-01T00:00:00"}, "no time zone"),
    "key": ("transactionline", {"transaction": "1"}, "key column id is empty"),
    "table": ("vendors", {"id": "1"}, "no table 'vendors'"),
}  # fmt: skip


@pytest.mark.parametrize(("table", "row", "message"), BAD.values(), ids=BAD.keys())
def test_row_that_does_not_fit_is_refused(
    store: Store, table: str, row: dict[str, str], message: str
) -> None:
    before = store.data_version
    with pytest.raises(StoreError, match=message):
        store.insert(table, [{"id": "7"}, row] if table == "vendor" else [row])
    assert store.connection().execute("SELECT COUNT(*) FROM vendor").fetchone() == (0,)
    assert store.data_version == before


def test_duplicate_key_is_refused_unless_replaced(store: Store) -> None:
    store.insert("term", [{"id": "1", "name": "a"}])
    with pytest.raises(StoreError, match="UNIQUE"):
        store.insert("term", [{"id": "1", "name": "b"}])
    store.insert("term", [{"id": "1", "name": "b"}], replace=True)
    assert store.connection().execute("SELECT name FROM term").fetchall() == [("b",)]


def test_custom_fields_are_added_as_they_come(store: Store) -> None:
    store.insert("transaction", [{"id": "1", "custbody_project": "P1"}, {"id": "2"}])
    again = Store(store.path)
    assert "custbody_project" in again.table("transaction").columns
    assert again.connection().execute(
        'SELECT custbody_project FROM "transaction" ORDER BY id'
    ).fetchall() == [("P1",), (None,)]
    again.close()


def test_failed_load_leaves_no_custom_field_behind(store: Store) -> None:
    with pytest.raises(StoreError):
        store.insert("term", [{"id": "1", "custrecord_x": "1"}, {"id": "", "custrecord_x": "2"}])
    assert "custrecord_x" not in store.table("term").columns
    store.insert("term", [{"id": "1", "custrecord_y": "1"}])
    assert set(store.table("term").columns) >= {"custrecord_y"}


def test_custom_records_come_with_their_rows(store: Store) -> None:
    store.insert("customrecord_map", [{"id": "1", "name": "n", "custrecord_a": "x"}])
    assert store.table("customrecord_map").custom


def test_link_pairs_are_stored_once(store: Store) -> None:
    pair = {"previousdoc": "1", "previousline": "1", "nextdoc": "2", "nextline": "1",
            "linktype": "OrdBill"}  # fmt: skip
    store.insert("nexttransactionlinelink", [pair])
    store.insert("previoustransactionlinelink", [pair])
    count = "SELECT COUNT(*) FROM previoustransactionlinelink"
    assert store.connection().execute(count).fetchone() == (1,)


def test_edit_moves_the_modification_stamp(store: Store) -> None:
    store.insert("vendor", [{"id": "1", "lastmodifieddate": "2020-01-01T00:00:00Z"}])
    store.update_row("vendor", "1", {"entityid": "X"})
    sql = "SELECT entityid, lastmodifieddate FROM vendor"
    assert store.connection().execute(sql).fetchone() == (
        "X", "2026-07-02 13:46:40")  # fmt: skip
    store.update_row("vendor", "1", {"entityid": ""}, stamp=False)
    assert store.connection().execute("SELECT entityid FROM vendor").fetchone() == (None,)


def test_update_of_nothing_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="no row"):
        store.update_row("vendor", "1", {"entityid": "X"})


def test_deleting_a_document_takes_its_lines_and_is_logged(store: Store) -> None:
    store.insert("transaction", [{"id": "1", "recordtype": "vendorbill", "tranid": "INV"}])
    store.insert(
        "transactionline", [{"transaction": "1", "id": "0"}, {"transaction": "1", "id": "1"}]
    )
    store.delete_row("transactionline", {"transaction": "1", "id": "1"})
    query = store.connection().execute
    assert query("SELECT COUNT(*) FROM deletedrecord").fetchone() == (0,)
    store.delete_row("transaction", "1")
    assert query("SELECT COUNT(*) FROM transactionline").fetchone() == (0,)
    assert query("SELECT recordid, type, name, deleteddate FROM deletedrecord").fetchall() == [
        (1, "vendorbill", "INV", "2026-07-02 13:46:40")
    ]


def test_data_version_is_seen_by_other_stores(store: Store) -> None:
    other = Store(store.path)
    before = other.data_version
    store.insert("term", [{"id": "1"}])
    assert other.data_version > before
    other.close()


def test_threads_write_without_losing_rows(store: Store) -> None:
    def write(start: int) -> None:
        for number in range(start, start + 20):
            store.insert("term", [{"id": str(number)}])

    threads = [threading.Thread(target=write, args=(n * 100,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.connection().execute("SELECT COUNT(*) FROM term").fetchone() == (80,)


def test_bulk_load_is_fast(store: Store) -> None:
    rows = (
        {"transaction": str(n), "id": "1", "uniquekey": str(n), "foreignamount": "12.50",
         "mainline": "F", "memo": "x", "linelastmodifieddate": "2026-03-02T17:05:41Z"}
        for n in range(20_000)
    )  # fmt: skip
    begun = time.perf_counter()
    assert store.insert("transactionline", rows) == 20_000
    assert time.perf_counter() - begun < 4  # 0.3 s when measured
