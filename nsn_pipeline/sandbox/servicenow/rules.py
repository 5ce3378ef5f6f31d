"""Rules of Procurement that overwrite what a client sends (docs/facts/servicenow.md 7.3)."""

from collections.abc import Callable
from decimal import Decimal

from nsn_pipeline.sandbox.servicenow.instance import Instance
from nsn_pipeline.sandbox.servicenow.money import plain, split_stored, to_decimal
from nsn_pipeline.sandbox.servicenow.table_data import Row

ZERO = Decimal(0)
CASCADED = frozenset({"requested", "ordered", "pending", "received", "canceled"})
# saves a record changed by a rule: table, new row, who
Save = Callable[[str, Row], None]


class ProcurementRules:
    """Keeps purchase orders and their lines consistent.

    Header totals are kept per order and currency, so that adding the n-th line does not read the
    other n-1.
    """

    def __init__(self, instance: Instance, save: Save) -> None:
        self.instance = instance
        self.save = save
        self._sums: dict[str, dict[str, Decimal]] = {}

    def before(self, table: str, row: Row, before: Row | None) -> None:
        """Computed columns, set before the record is stored."""
        if table == "proc_po_item":
            self._complete_line(row)
        if table in {"proc_po", "proc_po_item"}:
            self._stamp_status(row, before)
        if table == "proc_po":
            self._set_total(row, before)

    def after(self, table: str, row: Row | None, before: Row | None) -> None:
        """Effects on other records, once the record is stored (or gone: `row` is None)."""
        if table == "proc_po" and row is not None and before is not None:
            self._cascade(row, before)
        elif table == "proc_po_item":
            self._roll_up(row, before)

    def _complete_line(self, row: Row) -> None:
        if not row.get("list_price") and row.get("cost"):
            row["list_price"] = row["cost"]
        ordered = to_decimal(row.get("ordered_quantity", ""))
        received = to_decimal(row.get("received_quantity", "")) or ZERO
        if ordered is not None:
            row["remaining_quantity"] = plain(ordered - received)
        for price, total in (("cost", "total_cost"), ("list_price", "total_list_price")):
            if row.get(price):
                code, amount = split_stored(row[price])
                row[total] = f"{code};{plain(amount * (ordered or ZERO))}"

    def _stamp_status(self, row: Row, before: Row | None) -> None:
        status = row.get("status", "")
        if status in {"ordered", "received"} and (before or {}).get("status") != status:
            row.setdefault(status, self.instance.stamp())

    def _set_total(self, row: Row, before: Row | None) -> None:
        """A sent total never survives; without lines the total that was there stays."""
        total = self._header_total(row) or (before or {}).get("total_cost", "")
        if total:
            row["total_cost"] = total
        else:
            row.pop("total_cost", None)

    def _header_total(self, row: Row) -> str:
        sums = dict(self._sums_of(row["sys_id"]))
        if rate := row.get("ship_rate"):
            code, amount = split_stored(rate)
            sums[code] = sums.get(code, ZERO) + amount
        if not sums:
            return ""
        sums = {code: amount for code, amount in sums.items() if amount} or dict(
            [*sums.items()][:1]
        )
        if len(sums) == 1:
            code, amount = next(iter(sums.items()))
            return f"{code};{plain(amount)}"
        exchange = self.instance.exchange
        total = sum(
            (exchange.convert(amount, code, exchange.reference) for code, amount in sums.items()),
            ZERO,
        )
        return f"{exchange.reference};{plain(round(total, 4))}"

    def forget(self) -> None:
        """After a rollback the kept sums no longer hold."""
        self._sums.clear()

    def _sums_of(self, order_id: str) -> dict[str, Decimal]:
        sums = self._sums.get(order_id)
        if sums is None:
            sums = {}
            for line in self.instance.store.find("proc_po_item", "purchase_order", order_id):
                _add(sums, line, 1)
            if len(self._sums) > 10_000:  # noqa: PLR2004  # a bound on memory
                self._sums.clear()
            self._sums[order_id] = sums
        return sums

    def _roll_up(self, row: Row | None, before: Row | None) -> None:
        for line, sign in ((before, -1), (row, 1)):
            order_id = (line or {}).get("purchase_order", "")
            if line and order_id in self._sums:
                _add(self._sums[order_id], line, sign)
        orders = {(line or {}).get("purchase_order", "") for line in (row, before)} - {""}
        for order_id in orders:
            header = self.instance.store.get("proc_po", order_id)
            if header is None:
                continue  # a dangling reference: nothing flags it
            changed = dict(header)
            self._set_total(changed, None)
            if row and row.get("status") == "received" and self._all_received(order_id):
                changed["status"] = "received"
                changed.setdefault("received", self.instance.stamp())
            if changed != header:
                self.save("proc_po", changed)

    def _all_received(self, order_id: str) -> bool:
        lines = self.instance.store.find("proc_po_item", "purchase_order", order_id)
        statuses = {line.get("status", "") for line in lines} - {"canceled"}
        return statuses == {"received"}

    def _cascade(self, row: Row, before: Row) -> None:
        status = row.get("status", "")
        if status == before.get("status") or status not in CASCADED:
            return
        for line in self.instance.store.find("proc_po_item", "purchase_order", row["sys_id"]):
            if line.get("status") != status:
                changed = {**line, "status": status}
                self._stamp_status(changed, line)
                self.save("proc_po_item", changed)


def _add(sums: dict[str, Decimal], line: Row, sign: int) -> None:
    if total := line.get("total_cost"):
        code, amount = split_stored(total)
        sums[code] = sums.get(code, ZERO) + sign * amount
