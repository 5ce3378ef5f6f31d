"""What an exact sync of a set of tables must give, worked out from the tables alone.

Used to say in advance how many bills the demo rejects, and to check that it did. It follows the
rule of `docs/facts/netsuite.md` 6.4 for a line's account (the posting in the primary book, else the
line, else the item) and knows nothing of how the pipeline does it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from nsn_pipeline.sandbox.data.tables import Chunk, Row

_ORDERS, _BILLS = frozenset({"PurchOrd"}), frozenset({"VendBill", "VendCred"})
_PRIMARY_BOOK = "1"


@dataclass(slots=True)
class Expectation:
    """Documents by internal id; a rejected one carries the codes ServiceNow cannot take."""

    orders: int = 0
    bills: int = 0  # vendor bills and vendor credits
    gl_postings: int = 0
    vendors: int = 0
    rejected_orders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rejected_bills: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def rejected_share(self) -> Decimal:
        return Decimal(len(self.rejected_bills)) / max(self.bills, 1)


@dataclass(frozen=True, slots=True)
class _Line:
    document: str
    id: str
    account: str | None
    item: str | None
    department: str | None


class _Tables:
    """Only what the rule needs, so that large data fits."""

    def __init__(self) -> None:
        self.types: dict[str, str] = {}  # document -> type
        self.dates: dict[str, str] = {}
        self.lines: list[_Line] = []
        self.postings: dict[tuple[str, str], str] = {}
        self.items: dict[str, str | None] = {}
        self.account_codes: dict[str, str | None] = {}
        self.center_codes: dict[str, str | None] = {}
        self.gl_accounts: set[str] = set()
        self.centers: dict[str, tuple[str, str]] = {}  # code -> first day, first day not valid
        self.vendors = 0
        self.posted = 0
        self.takers: dict[str, Callable[[Row], None]] = {
            "transaction": self._transaction,
            "transactionline": self._line,
            "transactionaccountingline": self._posting,
            "item": self._item,
            "account": self._account,
            "department": self._department,
            "vendor": self._vendor,
            "itfm_gl_accounts": self._gl_account,
            "cmn_cost_center": self._cost_center,
        }

    def _transaction(self, row: Row) -> None:
        self.types[_text(row, "id")] = _text(row, "type")
        self.dates[_text(row, "id")] = _text(row, "trandate")

    def _line(self, row: Row) -> None:
        if row["mainline"] == "F":
            account, item, department = row["expenseaccount"], row["item"], row["department"]
            line = _Line(_text(row, "transaction"), _text(row, "id"), account, item, department)
            self.lines.append(line)

    def _posting(self, row: Row) -> None:
        if row["posting"] != "T" or (row["debit"] is None and row["credit"] is None):
            return
        self.posted += 1
        if row["accountingbook"] == _PRIMARY_BOOK:
            key = (_text(row, "transaction"), _text(row, "transactionline"))
            self.postings[key] = _text(row, "account")

    def _item(self, row: Row) -> None:
        self.items[_text(row, "id")] = row["expenseaccount"] or row["assetaccount"]

    def _account(self, row: Row) -> None:
        self.account_codes[_text(row, "id")] = row["acctnumber"]

    def _department(self, row: Row) -> None:
        self.center_codes[_text(row, "id")] = row["externalid"]

    def _vendor(self, _row: Row) -> None:
        self.vendors += 1

    def _gl_account(self, row: Row) -> None:
        self.gl_accounts.add(_text(row, "account_number"))

    def _cost_center(self, row: Row) -> None:
        start, end = row.get("valid_from") or "", row.get("valid_to") or "9999"
        self.centers[_text(row, "code")] = start[:10], end[:10]

    def faults(self, line: _Line) -> Iterator[str]:
        posted = self.postings.get((line.document, line.id))
        account = posted or line.account or self.items.get(line.item or "")
        code = self.account_codes.get(account or "")
        if code not in self.gl_accounts:
            yield f"gl_account:{code or account}"
        if line.department is not None:
            center = self.center_codes[line.department] or ""
            valid = self.centers.get(center)
            if valid is None or not valid[0] <= self.dates[line.document] < valid[1]:
                yield f"cost_center:{center}"


def expected(chunks: Iterable[Chunk]) -> Expectation:
    """Read every table once and judge every document."""
    tables = _Tables()
    for _, table, rows in chunks:
        take = tables.takers.get(table)
        if take is not None:
            for row in rows:
                take(row)
    result = Expectation(vendors=tables.vendors, gl_postings=tables.posted)
    result.orders = sum(kind in _ORDERS for kind in tables.types.values())
    result.bills = sum(kind in _BILLS for kind in tables.types.values())
    faults: dict[str, list[str]] = {}
    for line in tables.lines:
        if tables.types[line.document] in _ORDERS | _BILLS:
            faults.setdefault(line.document, []).extend(tables.faults(line))
    for document, codes in faults.items():
        is_order = tables.types[document] in _ORDERS
        if codes:
            rejected = result.rejected_orders if is_order else result.rejected_bills
            rejected[document] = tuple(dict.fromkeys(codes))
    return result


def _text(row: Row, column: str) -> str:
    return row[column] or ""
