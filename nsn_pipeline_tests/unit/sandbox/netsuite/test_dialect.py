"""Golden queries: Oracle's answers, above all where a naive translation answers wrongly."""

from typing import Any

import pytest

from nsn_pipeline.sandbox.netsuite.errors import NetSuiteError

Rows = list[dict[str, str]]


def ids(*values: int) -> Rows:
    return [{"id": str(value)} for value in values]


UTC = '\'YYYY-MM-DD"T"HH24:MI:SS"Z"\''
T = "FROM transaction t"

GOLDEN: dict[str, tuple[str, list[str], Rows]] = {
    # -- ids, numbers, text -----------------------------------------------------------------------
    "ids sort as numbers": (f"SELECT id {T} ORDER BY id", [], ids(5, 9, 10, 100)),
    "ids compare with text parameters as numbers": (
        f"SELECT id {T} WHERE id > ? ORDER BY id", ["9"], ids(10, 100)),
    "a numeric text literal compares as a number": (
        f"SELECT id {T} WHERE id = '10'", [], ids(10)),
    "between bound parameters": (
        f"SELECT id {T} WHERE id BETWEEN ? AND ? ORDER BY id", ["6", "50"], ids(9, 10)),
    "decimals sort by value": (
        f"SELECT id {T} ORDER BY foreigntotal", [], ids(5, 9, 100, 10)),
    "decimals compare by value": (
        f"SELECT id {T} WHERE foreigntotal < -1.0 OR foreigntotal = 0.1 ORDER BY id", [],
        ids(5, 100)),
    "decimals compare with parameters by value": (
        f"SELECT id {T} WHERE foreigntotal >= ? ORDER BY id", ["0.1"], ids(10, 100)),
    "decimals lose trailing zeros and the leading one": (
        f"SELECT foreigntotal {T} ORDER BY id", [],
        [{"foreigntotal": "-1250"}, {"foreigntotal": "-.5"}, {"foreigntotal": "99.9"},
         {"foreigntotal": ".1"}]),
    "SUM is exact": (
        "SELECT SUM(foreignamount) s FROM transactionline WHERE transaction = 100", [],
        [{"s": ".2"}]),
    "SUM of both signs": (
        "SELECT SUM(foreignamount) s, COUNT(*) n FROM transactionline WHERE transaction = 5", [],
        [{"s": "0", "n": "3"}]),
    "SUM over nothing is null, COUNT is zero": (
        f"SELECT SUM(foreigntotal) s, COUNT(*) n {T} WHERE id = 1", [], [{"n": "0"}]),
    "COUNT of a column leaves out nulls": (
        "SELECT COUNT(department) n, COUNT(DISTINCT mainline) m FROM transactionline", [],
        [{"n": "1", "m": "2"}]),
    "MIN and MAX of decimals go by value": (
        f"SELECT MIN(foreigntotal) a, MAX(foreigntotal) b {T}", [], [{"a": "-1250", "b": "99.9"}]),
    "AVG is exact": (
        "SELECT AVG(foreignamount) a FROM transactionline WHERE transaction = 100 AND id > 0", [],
        [{"a": ".05"}]),
    "division of whole numbers is not cut": (
        "SELECT 1/4 a, 2*3 b, 7-9 c FROM dual", [], [{"a": ".25", "b": "6", "c": "-2"}]),
    "pending quantity with a null": (
        ("SELECT quantity - NVL(quantityshiprecv, 0) p, quantity * rate a FROM transactionline "
        "WHERE uniquekey = 902"), [], [{"p": "10", "a": "449.9"}]),
    "arithmetic with a null is null": (
        "SELECT quantity - quantityshiprecv p FROM transactionline WHERE id = 2", [], [{}]),
    "ROUND and TRUNC of numbers": (
        ("SELECT ROUND(2.5) a, ROUND(-1.005, 2) b, TRUNC(1.999, 1) c, ABS(-0.5) d, MOD(7, 3) e "
        "FROM dual"), [], [{"a": "3", "b": "-1.01", "c": "1.9", "d": ".5", "e": "1"}]),
    "text of digits is not a number until asked": (
        "SELECT id FROM account WHERE acctnumber = '2000'", [], []),
    "a number makes text compare as number": (
        "SELECT id FROM account WHERE acctnumber = 2000", [], ids(111)),
    "TO_NUMBER and TO_CHAR of numbers": (
        ("SELECT TO_NUMBER(acctnumber) n, TO_CHAR(1234.5, 'FM9,999,990.00') c, TO_CHAR(0.5) d, "
        "TO_CHAR(7, '000') e FROM account WHERE id = 111"), [],
        [{"n": "2000", "c": "1,234.50", "d": ".5", "e": " 007"}]),
    # -- null and text ----------------------------------------------------------------------------
    "nulls are left out of the row": (
        f"SELECT id, memo {T} WHERE id IN (5, 9) ORDER BY id", [],
        [{"id": "5"}, {"id": "9", "memo": "Zebra"}]),
    "the empty string is null": (f"SELECT id {T} WHERE memo = '' OR memo <> ''", [], []),
    "an empty parameter is null": (f"SELECT id {T} WHERE memo = ?", [""], []),
    "concatenating a null adds nothing": (
        f"SELECT tranid || '/' || memo x {T} WHERE id = 5", [], [{"x": "INV-5/"}]),
    "ascending order puts nulls last": (
        f"SELECT id {T} ORDER BY memo, id", [], ids(100, 9, 10, 5)),
    "descending order puts nulls first": (
        f"SELECT id {T} ORDER BY memo DESC", [], ids(5, 10, 9, 100)),
    "nulls first when asked": (f"SELECT id {T} ORDER BY memo NULLS FIRST", [], ids(5, 100, 9, 10)),
    "DECODE takes null for equal to null": (
        f"SELECT DECODE(memo, NULL, 'none', 'Zebra', 'z', 'other') d {T} ORDER BY id", [],
        [{"d": "none"}, {"d": "z"}, {"d": "other"}, {"d": "other"}]),
    "NVL2, COALESCE, NULLIF": (
        (f"SELECT NVL2(memo, 'y', 'n') a, COALESCE(memo, tranid) b, NULLIF(tranid, 'INV-5') c {T} "
        "WHERE id = 5"), [], [{"a": "n", "b": "INV-5"}]),
    "CASE with and without subject": (
        (f"SELECT CASE type WHEN 'PurchOrd' THEN 1 ELSE 0 END p, CASE WHEN foreigntotal < 0 THEN "
        f"'neg' END s {T} ORDER BY id"), [],
        [{"p": "0", "s": "neg"}, {"p": "0", "s": "neg"}, {"p": "1"}, {"p": "0"}]),
    "LIKE minds case": (f"SELECT id {T} WHERE memo LIKE 'z%' OR memo LIKE 'A%'", [], []),
    "LIKE with an escape": (
        f"SELECT id {T} WHERE memo LIKE '100!%%' ESCAPE '!'", [], ids(100)),
    "NOT LIKE leaves out nulls": (
        f"SELECT id {T} WHERE memo NOT LIKE '%e%' ORDER BY id", [], ids(100)),
    "UPPER beyond ASCII": (
        "SELECT UPPER(lastname) u, LOWER(lastname) l FROM vendor WHERE id = 2", [],
        [{"u": "ÖZ", "l": "öz"}]),
    "SUBSTR from the end and past it": (
        (f"SELECT SUBSTR(tranid, -2) a, SUBSTR(tranid, 0, 3) b, SUBSTR(tranid, 20) c {T} WHERE "
        "id = 10"), [], [{"a": "10", "b": "PO-"}]),
    "REPLACE, INSTR, LENGTH, TRIM": (
        "SELECT REPLACE('a-b', '-') a, INSTR('abc', 'c') b, LENGTH('') c, TRIM('  ') d FROM dual",
        [], [{"a": "ab", "b": "3"}]),
    "GREATEST is null with a null": (
        f"SELECT GREATEST(9, 10) a, LEAST('b', 'a') b, GREATEST(1, NULL) c {T} WHERE id = 5", [],
        [{"a": "10", "b": "a"}]),
    # -- keys and shape ---------------------------------------------------------------------------
    "keys are lower case": (f"SELECT ID AS TheId {T} WHERE id = 5", [], [{"theid": "5"}]),
    "columns without a name are numbered": (
        f"SELECT COUNT(*), MAX(id) {T}", [], [{"expr1": "4", "expr2": "100"}]),
    "SELECT * leaves out what was never filled": (
        "SELECT * FROM currency WHERE id = 1", [],
        [{"id": "1", "symbol": "USD", "name": "US Dollar", "exchangerate": "1"}]),
    "a hidden column makes no name ambiguous": (
        ("SELECT department FROM transactionline l JOIN transaction t ON t.id = l.transaction "
        "WHERE uniquekey = 901"), [], [{"department": "2"}]),
    "alias star": (
        "SELECT s.* FROM subsidiary s WHERE s.id = 1", [],
        [{"id": "1", "name": "Parent", "fullname": "Parent"}]),
    # -- dates ------------------------------------------------------------------------------------
    "raw dates follow the user's format": (
        f"SELECT trandate {T} WHERE id = 5", [], [{"trandate": "3/2/2026"}]),
    "raw datetimes have no time of day and are local": (
        f"SELECT lastmodifieddate {T} WHERE id IN (5, 10) ORDER BY id", [],
        [{"lastmodifieddate": "3/1/2026"}, {"lastmodifieddate": "6/30/2026"}]),
    "TO_CHAR of an instant is local": (
        (f"SELECT TO_CHAR(lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS') d {T} WHERE id IN (5, 9) "
        "ORDER BY id"), [], [{"d": "2026-03-01 23:30:00"}, {"d": "2026-03-08 03:30:00"}]),
    "SYS_EXTRACT_UTC is exact": (
        f"SELECT TO_CHAR(SYS_EXTRACT_UTC(t.lastmodifieddate), {UTC}) d {T} WHERE id = 9", [],
        [{"d": "2026-03-08T10:30:00Z"}]),
    "TO_CHAR of a date does not shift it": (
        f"SELECT TO_CHAR(trandate, 'YYYY-MM-DD HH24:MI') d {T} WHERE id = 5", [],
        [{"d": "2026-03-02 00:00"}]),
    "TO_CHAR with words": (
        (f"SELECT TO_CHAR(trandate, 'DD-Mon-YY, fmMonth Q') d, TO_CHAR(trandate, 'MON IW D') e {T} "
        "WHERE id = 5"), [], [{"d": "02-Mar-26, March 1", "e": "MAR 10 2"}]),
    "a percent sign in a format stays": (
        f"SELECT TO_CHAR(trandate, 'YYYY\"%d\"MM') d {T} WHERE id = 5", [], [{"d": "2026%d03"}]),
    "TO_DATE against a raw instant is local time": (
        (f"SELECT id {T} WHERE lastmodifieddate >= TO_DATE('2026-03-01 23:30:00', "
        "'YYYY-MM-DD HH24:MI:SS') AND lastmodifieddate < TO_DATE('2026-03-08 03:30:01', "
        "'YYYY-MM-DD HH24:MI:SS') ORDER BY id"), [], ids(5, 9)),
    "TO_DATE just above a raw instant": (
        (f"SELECT id {T} WHERE lastmodifieddate > TO_DATE('2026-03-01 23:30:00', "
        "'YYYY-MM-DD HH24:MI:SS') ORDER BY id"), [], ids(9, 10, 100)),
    "TO_DATE against UTC": (
        (f"SELECT id {T} WHERE SYS_EXTRACT_UTC(lastmodifieddate) >= "
        "TO_DATE(?, 'YYYY-MM-DD HH24:MI:SS') ORDER BY id"), ["2026-07-01 00:00:01"], ids(100)),
    "TO_TIMESTAMP works alike": (
        (f"SELECT id {T} WHERE SYS_EXTRACT_UTC(lastmodifieddate) < "
        "TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS') ORDER BY id"), ["2026-03-08 10:30:00"], ids(5)),
    "TO_DATE reads words and halves of days": (
        ("SELECT TO_CHAR(TO_DATE('2-Mar-2026 12:05 am', 'DD-MON-YYYY HH:MI AM'), "
        "'YYYY-MM-DD HH24:MI') d FROM dual"), [], [{"d": "2026-03-02 00:05"}]),
    "dates between": (
        (f"SELECT id {T} WHERE trandate BETWEEN TO_DATE('2026-03-01', 'YYYY-MM-DD') AND "
        "TO_DATE('2026-06-30', 'YYYY-MM-DD') ORDER BY id"), [], ids(5, 10)),
    "a bare date text in the user's format": (
        f"SELECT id {T} WHERE trandate = '3/2/2026' OR trandate = ? ORDER BY id", ["6/30/2026"],
        ids(5, 10)),
    "SYSDATE minus days": (
        f"SELECT id {T} WHERE trandate >= SYSDATE - 2.5 ORDER BY id", [], ids(10, 100)),
    "SYSDATE is local": (
        "SELECT TO_CHAR(SYSDATE, 'YYYY-MM-DD HH24:MI') d FROM dual", [],
        [{"d": "2026-07-02 05:00"}]),
    "TRUNC of a datetime is local midnight": (
        (f"SELECT TO_CHAR(TRUNC(lastmodifieddate), 'YYYY-MM-DD HH24:MI') d, "
        f"TO_CHAR(TRUNC(trandate, 'MM'), 'YYYY-MM-DD') m {T} WHERE id = 10"), [],
        [{"d": "2026-06-30 00:00", "m": "2026-06-01"}]),
    "days between and months added": (
        ("SELECT TO_DATE('2026-03-02','YYYY-MM-DD') - "
        "TO_DATE('2026-02-28 12','YYYY-MM-DD HH24') a, "
        "TO_CHAR(ADD_MONTHS(TO_DATE('2026-02-28','YYYY-MM-DD'), 1), 'MM-DD') b, "
        "TO_CHAR(LAST_DAY(TO_DATE('2024-02-01','YYYY-MM-DD')), 'DD') c FROM dual"), [],
        [{"a": "1.5", "b": "03-31", "c": "29"}]),
    # -- ROWNUM, TOP, FETCH, UNION ----------------------------------------------------------------
    "ROWNUM cuts before ORDER BY": (
        f"SELECT id {T} WHERE id < 100 AND ROWNUM <= 2 ORDER BY id DESC", [], ids(9, 5)),
    "ROWNUM around an ordered subquery": (
        f"SELECT * FROM (SELECT id {T} ORDER BY id DESC) WHERE ROWNUM <= 2", [], ids(100, 10)),
    "ROWNUM cuts before COUNT": (f"SELECT COUNT(*) n {T} WHERE ROWNUM < 3", [], [{"n": "2"}]),
    "ROWNUM above one finds nothing": (f"SELECT id {T} WHERE ROWNUM > 1", [], []),
    "ROWNUM equal to one": (f"SELECT id {T} WHERE ROWNUM = 1", [], ids(5)),
    "ROWNUM as a column": (
        f"SELECT ROWNUM r, id {T} WHERE id > 5 AND ROWNUM <= 2 ORDER BY id", [],
        [{"r": "1", "id": "9"}, {"r": "2", "id": "10"}]),
    "TOP cuts after ORDER BY": (f"SELECT TOP 2 id {T} ORDER BY id DESC", [], ids(100, 10)),
    "FETCH FIRST cuts after ORDER BY": (
        f"SELECT id {T} ORDER BY id DESC FETCH FIRST 1 ROWS ONLY", [], ids(100)),
    "UNION removes duplicates, UNION ALL does not": (
        "SELECT a FROM (SELECT entity a FROM transaction UNION SELECT id FROM vendor) ORDER BY a",
        [], [{"a": "1"}, {"a": "2"}, {"a": "10"}]),
    "UNION ordered by its own column": (
        "SELECT id FROM vendor WHERE id < 5 UNION ALL SELECT id FROM currency ORDER BY id DESC",
        [], ids(2, 2, 1, 1)),
    # -- joins and subqueries ---------------------------------------------------------------------
    "lines with header and posting": (
        ("SELECT tl.id line, t.tranid, tal.account gl FROM transactionline tl "
        "JOIN transaction t ON "
        "t.id = tl.transaction LEFT JOIN transactionaccountingline tal ON tal.transaction = "
        "tl.transaction AND tal.transactionline = tl.id AND tal.accountingbook = ? WHERE tl.id > 0 "
        "AND tl.transaction IN (5, 100) ORDER BY tl.transaction, tl.id"), ["1"],
        [{"line": "1", "tranid": "INV-5", "gl": "642"},
         {"line": "2", "tranid": "INV-5", "gl": "58"},
         {"line": "1", "tranid": "INV-5"}, {"line": "10", "tranid": "INV-5"}]),
    "keyset over two columns": (
        ("SELECT transaction t, id FROM transactionline WHERE transaction > ? OR (transaction = ? "
        "AND id > ?) ORDER BY transaction, id"), ["5", "5", "1"],
        [{"t": "5", "id": "2"}, {"t": "100", "id": "0"}, {"t": "100", "id": "1"},
         {"t": "100", "id": "10"}]),
    "outer join in Oracle's way": (
        "SELECT v.id, c.symbol FROM vendor v, currency c WHERE v.currency = c.id(+) ORDER BY v.id",
        [], [{"id": "1", "symbol": "EUR"}, {"id": "2"}, {"id": "10"}]),
    "right join puts nulls on the left": (
        ("SELECT v.entityid e, c.symbol s FROM vendor v RIGHT JOIN currency c ON v.currency = c.id "
        "ORDER BY c.id"), [], [{"s": "USD"}, {"e": "ACME", "s": "EUR"}]),
    "EXISTS and IN with subqueries": (
        (f"SELECT id {T} WHERE EXISTS (SELECT 1 FROM transactionline l WHERE l.transaction = t.id "
        "AND l.department IS NOT NULL) OR t.entity IN (SELECT id FROM vendor WHERE entityid = "
        "'zeta') ORDER BY id"), [], ids(5, 10)),
    "NOT IN with a null finds nothing": (
        f"SELECT id {T} WHERE memo NOT IN (SELECT memo FROM transaction)", [], []),
    "a scalar subquery": (
        (f"SELECT id, (SELECT COUNT(*) FROM transactionline l WHERE l.transaction = t.id) n {T} "
        "WHERE id = 5"), [], [{"id": "5", "n": "3"}]),
    "grouping with HAVING": (
        f"SELECT entity, COUNT(*) n, SUM(foreigntotal) s {T} GROUP BY entity HAVING COUNT(*) > 1",
        [], [{"entity": "1", "n": "2", "s": "-1249.9"}]),
    "grouping by an expression": (
        f"SELECT TO_CHAR(trandate, 'YYYY') y, COUNT(*) n {T} GROUP BY TO_CHAR(trandate, 'YYYY')",
        [], [{"y": "2026", "n": "4"}]),
    "a long list of literals": (
        (f"SELECT id {T} WHERE id IN (1,2,3,4,5,6,7,8,9,'10',-1) "
        "AND memo <> 'IN (1,2,3,4,5,6,7,8,9)' "
        "ORDER BY id"), [], ids(9, 10)),
    "a question mark in a text is no parameter": (
        f"SELECT id {T} WHERE memo <> '?' AND id = ?", ["9"], ids(9)),
    # -- display texts and status -----------------------------------------------------------------
    "BUILTIN.DF of a status": (
        f"SELECT BUILTIN.DF(t.status) s, t.status {T} ORDER BY t.id", [],
        [{"s": "Bill : Open", "status": "A"}, {"s": "Bill : Paid In Full", "status": "B"},
         {"s": "Purchase Order : Pending Receipt", "status": "B"},
         {"s": "Bill Credit : Open", "status": "A"}]),
    "BUILTIN.DF of references": (
        ("SELECT BUILTIN.DF(l.department) d, BUILTIN.DF(l.expenseaccount) a, BUILTIN.DF("
        "l.transaction) t FROM transactionline l WHERE uniquekey IN (901, 902) ORDER BY uniquekey"),
        [], [{"d": "Ops : IT", "a": "Unnumbered", "t": "INV-5"},
             {"a": "6000 Hosting", "t": "INV-5"}]),
    "BUILTIN.DF of a multi-select": (
        "SELECT subsidiary, BUILTIN.DF(subsidiary) d FROM department WHERE id = 1", [],
        [{"subsidiary": "1, 3", "d": "Parent, Parent : Child"}]),
    "BUILTIN.DF in a filter": (
        f"SELECT id {T} WHERE BUILTIN.DF(status) = 'Bill : Open'", [], ids(5)),
    "a letter finds nothing in a status filter": (f"SELECT id {T} WHERE status = 'B'", [], []),
    "both forms of a status find it": (
        f"SELECT id {T} WHERE status IN ('B', 'PurchOrd:B')", [], ids(10)),
    "both link tables hold the same pairs": (
        ("SELECT p.nextdoc, n.previousline FROM previoustransactionlinelink p JOIN "
        "nexttransactionlinelink n ON n.nextdoc = p.nextdoc WHERE p.linktype = 'OrdBill'"), [],
        [{"nextdoc": "5", "previousline": "1"}]),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "params", "expected"), GOLDEN.values(), ids=GOLDEN.keys())
def test_query_answers_as_oracle_does(
    world: Any, sql: str, params: list[str], expected: Rows
) -> None:
    assert world.rows(sql, *params) == expected


REFUSED = {
    "WITH": "WITH x AS (SELECT id FROM vendor) SELECT id FROM x",
    "LIMIT": "SELECT id FROM vendor LIMIT 5",
    "OFFSET": "SELECT id FROM vendor OFFSET 5 ROWS",
    "date literal": "SELECT id FROM transaction WHERE trandate > DATE '2026-01-01'",
    "bare date text in another format": "SELECT id FROM transaction WHERE trandate > '2026-01-01'",
    "function off the list": "SELECT MEDIAN(id) FROM vendor",
    "plus as concatenation": "SELECT entityid + 'x' y FROM vendor",
    "brackets": "SELECT [id] FROM vendor",
    "CURRENT_DATE": "SELECT CURRENT_DATE x FROM dual",
    "IN above a thousand": f"SELECT id FROM vendor WHERE id IN ({','.join(map(str, range(1001)))})",
    "mixed outer joins": "SELECT v.id FROM vendor v JOIN term m ON m.id = v.terms, currency c "
    "WHERE c.id(+) = v.currency",
    "quoted alias inside a subselect": 'SELECT x FROM (SELECT id AS "X" FROM vendor)',
    "column neither grouped nor aggregated": "SELECT type, id, COUNT(*) FROM transaction "
    "GROUP BY type",
    "grouped by alias": "SELECT TO_CHAR(id) x FROM vendor GROUP BY 1",
    "aggregate in WHERE": "SELECT id FROM vendor WHERE COUNT(*) > 1",
    "two columns of one name": "SELECT v.id, c.id FROM vendor v JOIN currency c "
    "ON c.id = v.currency",
    "ambiguous column": "SELECT symbol FROM vendor v JOIN currency c ON id = v.currency",
    "several rows in a scalar subquery": "SELECT (SELECT id FROM vendor) x FROM dual",
    "text that is no number": "SELECT id FROM transaction WHERE tranid = 5",
    "text literal for an id": "SELECT id FROM vendor WHERE id = 'abc'",
    "unknown date element": "SELECT TO_CHAR(trandate, 'YYYY-XX') x FROM transaction",
    "date that does not match": "SELECT TO_DATE('2026-13-01', 'YYYY-MM-DD') x FROM dual",
    "comparison as a value": "SELECT id = 5 x FROM vendor",
    "two statements": "SELECT id FROM vendor; SELECT id FROM vendor",
    "not a query": "DELETE FROM vendor",
    "USING": "SELECT x.id FROM vendor x JOIN currency USING (id)",
    "window": "SELECT SUM(id) OVER (PARTITION BY id) x FROM vendor",
    "not SQL": "SELECT FROM WHERE",
    "ROWNUM in an OR": "SELECT id FROM vendor WHERE ROWNUM <= 2 OR id = 1",
}


@pytest.mark.parametrize("sql", REFUSED.values(), ids=REFUSED.keys())
def test_unsupported_construct_is_refused(world: Any, sql: str) -> None:
    with pytest.raises(NetSuiteError) as caught:
        world.rows(sql)
    assert caught.value.status == 400
    assert caught.value.detail.endswith("Search error occurred: Invalid or unsupported search.")


def test_quoted_name_that_is_unknown_is_not_read_as_text(world: Any) -> None:
    with pytest.raises(NetSuiteError, match="Unknown identifier 'nope'"):
        world.rows('SELECT "nope" FROM vendor')
