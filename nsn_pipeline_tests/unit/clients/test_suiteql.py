from datetime import UTC, datetime, timedelta, timezone

import pytest

from nsn_pipeline.clients.suiteql import (
    Condition,
    beyond,
    changed_between,
    changed_since,
    in_list,
    quote,
    select,
)
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.records.spec import Column, Join, Source

LINES = Source(
    table="transactionline",
    alias="tl",
    columns=(
        Column("document_id", "tl.transaction", optional=False),
        Column("line_id", "tl.id", optional=False),
        Column("number", "tl.linesequencenumber"),
        Column("item_name", "i.itemid"),
    ),
    key=("tl.transaction", "tl.id"),
    joins=(Join("item", "i", "i.id = tl.item"),),
    where="tl.mainline = 'F'",
)


def test_a_read_is_ordered_by_its_whole_key() -> None:
    assert select(LINES).text == (
        "SELECT tl.transaction AS document_id, tl.id AS line_id, "
        "tl.linesequencenumber AS number_, i.itemid AS item_name "
        "FROM transactionline tl LEFT JOIN item i ON i.id = tl.item "
        "WHERE tl.mainline = 'F' ORDER BY tl.transaction, tl.id"
    )


def test_a_reserved_word_is_not_used_as_an_alias_but_comes_back_as_the_name() -> None:
    assert select(LINES).names["number_"] == "number"


def test_conditions_are_kept_apart_and_values_in_order() -> None:
    statement = select(
        LINES, where="tl.memo = ? OR tl.memo = ?", params=("a", "b"), after=("7", "x")
    )
    assert (
        "WHERE (tl.mainline = 'F') AND (tl.memo = ? OR tl.memo = ?) "
        "AND ((tl.transaction > 7) OR ((tl.transaction = 7) AND (tl.id > ?))) ORDER BY"
    ) in statement.text
    assert statement.params == ("a", "b", "x")


def test_a_required_join_keeps_only_matching_rows() -> None:
    join = Join("transaction", "t", "t.id = tl.transaction", optional=False)
    source = Source("transactionline", "tl", LINES.columns[:2], LINES.key, (join,))
    assert " JOIN transaction t ON" in select(source).text
    assert "LEFT" not in select(source).text


def test_a_subset_still_reads_the_key() -> None:
    text = select(LINES, columns=["item_name"]).text
    assert text.startswith("SELECT tl.transaction AS document_id, tl.id AS line_id, i.itemid AS")


def test_an_unknown_column_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="nonsense"):
        select(LINES, columns=["nonsense"])


def test_a_key_that_is_not_selected_cannot_be_paged() -> None:
    source = Source("t", "t", (Column("a", "t.a"),), ("t.id",))
    with pytest.raises(ConfigurationError, match="key"):
        select(source)


@pytest.mark.parametrize(
    "source",
    [
        Source("t; DROP", "t", (Column("a", "t.a"),), ("t.a",)),
        Source("t", "t", (Column("a b", "t.a"),), ("t.a",)),
        Source("t", "t", (Column("a", "t.a) FROM x --"),), ("t.a) FROM x --",)),
        Source("t", "t", (Column("a", "t.a"), Column("b", "TO_CHAR(t.b,'x")), ("t.a",)),
        Source("t", "t", (Column("a", "t.a"), Column("b", "t.b /* x")), ("t.a",)),
        Source("t", "t", (Column("a", "t.a"), Column("b", "?")), ("t.a",)),
    ],
    ids=["table", "alias", "parenthesis", "open quote", "comment", "bound value"],
)
def test_what_could_leave_its_place_in_the_statement_is_refused(source) -> None:
    with pytest.raises(ConfigurationError):
        select(source)


def test_values_and_marks_must_agree() -> None:
    with pytest.raises(ConfigurationError, match="number"):
        select(LINES, where="tl.memo = ?", params=())
    select(LINES, where="tl.memo = 'why?'", params=())


def test_a_window_prefilters_on_the_raw_column_and_compares_in_exact_utc() -> None:
    start = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)
    where, params = changed_between("t.lastmodifieddate", start, start + timedelta(days=1))
    style = "'YYYY-MM-DD HH24:MI:SS'"
    for part in (
        f"t.lastmodifieddate >= TO_DATE('2026-02-28 23:00:00',{style})",
        f"SYS_EXTRACT_UTC(t.lastmodifieddate) >= TO_DATE('2026-03-01 23:00:00',{style})",
        f"t.lastmodifieddate < TO_DATE('2026-03-03 23:00:00',{style})",
        f"SYS_EXTRACT_UTC(t.lastmodifieddate) < TO_DATE('2026-03-02 23:00:00',{style})",
    ):
        assert part in where
    assert params == ()
    assert "TO_TIMESTAMP" not in where


def test_window_bounds_are_turned_into_utc_and_rounded_up_so_that_windows_meet() -> None:
    berlin = timezone(timedelta(hours=2))
    where, _ = changed_since("t.x", datetime(2026, 6, 1, 0, 0, 0, 1, tzinfo=berlin))
    assert "SYS_EXTRACT_UTC(t.x) >= TO_DATE('2026-05-31 22:00:01'" in where


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2026, 1, 1), datetime(2026, 1, 2)),  # noqa: DTZ001
        (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
    ],
    ids=["naive", "empty"],
)
def test_a_senseless_window_is_refused(start, end) -> None:
    with pytest.raises(ValueError, match="window"):
        changed_between("t.x", start, end)


def test_ids_are_written_out_and_codes_are_bound() -> None:
    assert in_list("t.id", ["1", "-5"]) == Condition("t.id IN (1, -5)")
    assert in_list("t.id", ["1", "007"]) == Condition("t.id IN (?, ?)", ("1", "007"))
    assert in_list("v.entityid", ["1"], text=True) == Condition("v.entityid IN (?)", ("1",))


@pytest.mark.parametrize("size", [0, 901])
def test_an_in_list_has_a_size_netsuite_accepts(size) -> None:
    with pytest.raises(ValueError, match="IN list"):
        in_list("t.id", [str(n) for n in range(size)])


def test_a_key_of_three_is_compared_part_by_part() -> None:
    assert beyond(("a.x", "a.y", "a.z"), ("1", "2", "3")).where == (
        "(a.x > 1) OR ((a.x = 1) AND (a.y > 2)) OR ((a.x = 1) AND (a.y = 2) AND (a.z > 3))"
    )


def test_quoting_doubles_the_quote() -> None:
    assert quote("O'Neil") == "'O''Neil'"
