"""What a person does to a transaction in NetSuite's own pages, done to the tables.

Totals, the main line, the GL impact and the change stamps follow, as they do there; a voided bill
keeps its lines at zero, a closed order keeps its amounts, a bill sent back for approval has no GL
impact. Line ids are never used again ([inf], docs/facts/assumptions.md).
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from nsn_pipeline.sandbox.netsuite.kinds import decimal_text, utc_text
from nsn_pipeline.sandbox.netsuite.store import Store, StoreError

Row = dict[str, str | None]
_ZERO = Decimal(0)


class Edits:
    """Edits of one account's transactions; each is one database transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.actions: Mapping[str, Callable[[str, str], str]] = {
            "delete": self.delete,
            "delete-line": self.delete_line,
            "replace-line": self.replace_line,
            "reorder-lines": self.reorder_lines,
            "void": self.void,
            "close": self.close,
            "reopen": self.reopen,
        }

    def delete(self, transaction: str, _line: str = "") -> str:
        """Delete for good: afterwards only `deletedrecord` knows."""
        self._store.delete_row("transaction", transaction)
        return transaction

    def delete_line(self, transaction: str, line: str) -> str:
        """Remove a line with its GL impact; the totals and the main line follow."""
        with self._store.transaction() as connection:
            row = self._line(transaction, line)
            if row["mainline"] == "T":
                raise StoreError("the main line stands for the document: it cannot be removed")
            self._move(transaction, _number(row["foreignamount"]), _number(row["netamount"]))
            for book, amount in self._posted(transaction, line):
                self._move_posting(transaction, book, amount)
            for table, column in (
                ("transactionline", "id"),
                ("transactionaccountingline", "transactionline"),
            ):
                connection.execute(
                    f'DELETE FROM "{table}" WHERE "transaction" = ? AND "{column}" = ?',
                    (int(transaction), int(line)),
                )
            connection.execute(
                "DELETE FROM nexttransactionlinelink WHERE (nextdoc = ? AND nextline = ?)"
                " OR (previousdoc = ? AND previousline = ?)",
                (int(transaction), int(line)) * 2,
            )
        return line

    def replace_line(self, transaction: str, line: str) -> str:
        """Remove a line and enter it again: same content and place, another id, which is told."""
        with self._store.transaction() as connection:
            row = self._line(transaction, line)
            found = connection.execute(
                "SELECT MAX(id), (SELECT MAX(uniquekey) FROM transactionline) FROM transactionline"
                ' WHERE "transaction" = ?',
                (int(transaction),),
            ).fetchone()
            fresh = str(found[0] + 1)
            impact = self._rows(
                'SELECT * FROM transactionaccountingline WHERE "transaction" = ?'
                " AND transactionline = ?",
                (transaction, line),
            )
            self.delete_line(transaction, line)
            added = {**row, "id": fresh, "uniquekey": str(found[1] + 1)}
            self._insert("transactionline", added)
            self._move(transaction, -_number(row["foreignamount"]), -_number(row["netamount"]))
            for posting in impact:
                self._insert("transactionaccountingline", {**posting, "transactionline": fresh})
                book = posting["accountingbook"] or ""
                self._move_posting(transaction, book, -_number(posting["amount"]))
        return fresh

    def reorder_lines(self, transaction: str, _line: str = "") -> str:
        """Turn the order of the lines round; nothing else of them changes."""
        with self._store.transaction():
            rows = [row for row in self._lines(transaction) if row["mainline"] != "T"]
            places = sorted((row["linesequencenumber"] or "0" for row in rows), key=int)
            for row, place in zip(rows, reversed(places), strict=True):
                key = {"transaction": transaction, "id": row["id"]}
                self._store.update_row("transactionline", key, {"linesequencenumber": place})
            self._store.update_row("transaction", transaction, {})
        return transaction

    def void(self, transaction: str, _line: str = "") -> str:
        """A direct void: the document stays, every amount is zero."""
        nothing = {"foreignamount": "0", "netamount": "0"}
        names = ("account", "debit", "credit", "amount", "netamount")
        empty: Row = dict.fromkeys(names)
        with self._store.transaction():
            for row in self._lines(transaction):
                changes: Row = {**nothing, "creditforeignamount": None, "debitforeignamount": None}
                if row["rate"] is not None:
                    changes["rate"] = "0"
                key = {"transaction": transaction, "id": row["id"]}
                self._store.update_row("transactionline", key, changes)
            self._update_postings(transaction, empty)
            changes = {"void": "T", "voided": "T", "memo": "VOID", "foreigntotal": "0"}
            for column in ("foreignamountpaid", "foreignamountunpaid"):
                if self._header(transaction)[column] is not None:
                    changes[column] = "0"
            self._store.update_row("transaction", transaction, changes)
        return transaction

    def close(self, transaction: str, _line: str = "") -> str:
        """Close an order: nothing more will come or be billed."""
        if self._header(transaction)["type"] != "PurchOrd":
            raise StoreError(f"transaction {transaction} is no purchase order")
        with self._store.transaction():
            for row in self._lines(transaction):
                key = {"transaction": transaction, "id": row["id"]}
                self._store.update_row("transactionline", key, {"isclosed": "T"})
            self._store.update_row("transaction", transaction, {"status": "H"})
        return transaction

    def reopen(self, transaction: str, _line: str = "") -> str:
        """Send a bill back for approval: it posts nothing until it is approved again."""
        if self._header(transaction)["type"] != "VendBill":
            raise StoreError(f"transaction {transaction} is no vendor bill")
        with self._store.transaction() as connection:
            connection.execute(
                'DELETE FROM transactionaccountingline WHERE "transaction" = ?', (int(transaction),)
            )
            changes = {"status": "D", "approvalstatus": "1", "posting": "F"}
            self._store.update_row("transaction", transaction, changes)
        return transaction

    # -- rows ----------------------------------------------------------------------------------

    def _header(self, transaction: str) -> Row:
        rows = self._rows('SELECT * FROM "transaction" WHERE id = ?', (transaction,))
        if not rows:
            raise StoreError(f"there is no transaction {transaction}")
        return rows[0]

    def _lines(self, transaction: str) -> list[Row]:
        self._header(transaction)
        return self._rows(
            'SELECT * FROM transactionline WHERE "transaction" = ? ORDER BY id', (transaction,)
        )

    def _line(self, transaction: str, line: str) -> Row:
        for row in self._lines(transaction):
            if row["id"] == line:
                return row
        raise StoreError(f"transaction {transaction} has no line {line!r}")

    def _rows(self, sql: str, keys: tuple[str, ...]) -> list[Row]:
        try:
            bound = tuple(int(key) for key in keys)
        except ValueError as error:
            raise StoreError(f"ids are whole numbers: {', '.join(keys)}") from error
        found = self._store.connection().execute(sql, bound)
        names = [item[0] for item in found.description]
        return [
            {n: None if v is None else str(v) for n, v in zip(names, values, strict=True)}
            for values in found.fetchall()
        ]

    def _insert(self, table: str, row: Row) -> None:
        """A row read from the tables, put back as the store takes it."""
        stamps = ("linelastmodifieddate", "linecreateddate", "lastmodifieddate")
        fresh = f"{utc_text(self._store.clock()).replace(' ', 'T')}Z"
        self._store.insert(table, [{**row, **{name: fresh for name in stamps if name in row}}])

    # -- sums ----------------------------------------------------------------------------------

    def _move(self, transaction: str, amount: Decimal, base: Decimal) -> None:
        """What a removed line no longer adds: to the main line, which balances, and the total."""
        header = self._header(transaction)
        main = next(row for row in self._lines(transaction) if row["mainline"] == "T")
        balance = _number(main["foreignamount"]) + amount
        changes: Row = {
            "foreignamount": _text(balance),
            "netamount": _text(_number(main["netamount"]) + base),
            "creditforeignamount": _text(-balance) if balance < 0 else None,
            "debitforeignamount": _text(balance) if balance > 0 else None,
        }
        key = {"transaction": transaction, "id": main["id"]}
        self._store.update_row("transactionline", key, changes)
        # An order's total has the sign of its lines, a bill's and a credit's that of the main line.
        moved = -amount if header["type"] == "PurchOrd" else amount
        changes = {"foreigntotal": _text(_number(header["foreigntotal"]) + moved)}
        if header["foreignamountunpaid"] is not None:
            unpaid = _number(header["foreignamountunpaid"])
            changes["foreignamountunpaid"] = _text(unpaid - abs(amount) if amount > 0 else unpaid)
        self._store.update_row("transaction", transaction, changes)

    def _posted(self, transaction: str, line: str) -> list[tuple[str, Decimal]]:
        rows = self._rows(
            'SELECT * FROM transactionaccountingline WHERE "transaction" = ?'
            " AND transactionline = ?",
            (transaction, line),
        )
        return [(row["accountingbook"] or "", _number(row["amount"])) for row in rows]

    def _move_posting(self, transaction: str, book: str, amount: Decimal) -> None:
        main = next(row["id"] for row in self._lines(transaction) if row["mainline"] == "T")
        key: Row = {"accountingbook": book, "transaction": transaction, "transactionline": main}
        found = self._rows(
            'SELECT * FROM transactionaccountingline WHERE accountingbook = ? AND "transaction" = ?'
            " AND transactionline = ?",
            (book, transaction, main or ""),
        )
        if not found:
            return
        balance = _number(found[0]["amount"]) + amount
        changes: Row = {
            "amount": _text(balance),
            "netamount": _text(balance),
            "debit": _text(balance) if balance > 0 else None,
            "credit": _text(-balance) if balance < 0 else None,
        }
        self._store.update_row("transactionaccountingline", key, changes)

    def _update_postings(self, transaction: str, changes: Row) -> None:
        rows = self._rows(
            'SELECT * FROM transactionaccountingline WHERE "transaction" = ?', (transaction,)
        )
        for row in rows:
            names = ("accountingbook", "transaction", "transactionline")
            key = {name: row[name] for name in names}
            self._store.update_row("transactionaccountingline", key, changes)


def _number(text: str | None) -> Decimal:
    return Decimal(text) if text else _ZERO


def _text(value: Decimal) -> str:
    return decimal_text(f"{value:f}")
