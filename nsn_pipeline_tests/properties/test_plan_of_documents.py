"""A plan of whole documents is carried out as it was agreed to: its writes and no others, and then
ServiceNow holds what NetSuite has.

What is stored is judged by the meaning of the texts, never by asking the planner again.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from nsn_pipeline.load.brake import Limits
from nsn_pipeline.load.documents import load_documents
from nsn_pipeline.load.plan_document import WRITING, Approved, PlannedChange
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline.load.retire import Retirer
from nsn_pipeline.profiles.model import Retirement, Target
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import brake, column, frame, loader

LINES = Target(
    record_type="order_line",
    table="u_line",
    external_key="u_netsuite_id",
    key_from="{document_id}-{line_id}",
    parent_column="parent",
    columns=(
        column("parent", "reference(parent)", required=True),
        column("amount", "decimal(2)"),
        column("closed", "flag"),
        column("note", owner="servicenow"),
    ),
    retire=Retirement("delete"),
)
TARGET = Target(
    record_type="order",
    table="u_order",
    external_key="u_netsuite_id",
    key_from="{internal_id}",
    columns=(
        column("memo"),
        column("state"),
        column("currency", source="currency_code"),
        column("total", "money(currency_code)", witness="u_total"),
        column("u_total", "decimal(currency_code)"),
        column("note", owner="servicenow"),
    ),
    lines=LINES,
    retire=Retirement("set", (("state", "canceled"),)),
)
NO_LIMIT = Limits(1.0, 10_000)
DOCUMENTS = ("7", "70", "8")
TEXTS = {"u_order": ("memo", "state", "currency"), "u_line": ("parent",)}

amounts = st.sampled_from(["0.00", "1.50", "17.25", "-3.00"])
headers = st.fixed_dictionaries(
    {
        "memo": st.sampled_from(["", "a", "b"]),
        "state": st.sampled_from(["open", "paid"]),
        "currency": st.sampled_from(["USD", "EUR"]),
        "u_total": amounts,
    }
).map(lambda one: {**one, "total": f"{one['currency']};{one['u_total']}", "note": "first"})
lines = st.fixed_dictionaries(
    {"amount": amounts, "closed": st.sampled_from(["true", "false"]), "note": st.just("first")}
)
documents = st.tuples(
    headers, st.dictionaries(st.sampled_from(["1", "2", "11"]), lines, min_size=1)
)
worlds = st.dictionaries(st.sampled_from(DOCUMENTS), documents)
edits = st.lists(
    st.tuples(
        st.integers(0, 20),  # of which row
        st.one_of(
            st.just(None),  # deleted
            st.tuples(st.just("memo"), st.just("By hand")),
            st.tuples(st.sampled_from(["u_total", "amount"]), amounts),
            st.tuples(st.just("total"), amounts.map("USD;{}".format)),
            st.tuples(st.just("closed"), st.sampled_from(["true", "false"])),
            st.tuples(st.just("note"), st.just("A person's")),
        ),
    ),
    max_size=5,
)
Documents = Mapping[str, tuple[dict[str, str], dict[str, dict[str, str]]]]


@dataclass(slots=True)
class Company:
    """ServiceNow, and which documents NetSuite says it deleted."""

    fake: FakeServiceNow = field(default_factory=FakeServiceNow)
    deleted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.fake.reader_currency = "USD"
        self.fake.converted = {"total": Decimal("1.0417")}

    def sync(
        self,
        netsuite: Documents,
        *,
        plan_only: bool = False,
        approved: Approved | None = None,
    ) -> tuple[list[PlannedChange], set[str]]:
        """As a load step does it: what was planned, and how documents ended."""
        below = {
            f"{document}-{line_id}": {**line, "parent": f"ref:parent:{document}"}
            for document, (_, of_document) in netsuite.items()
            for line_id, line in of_document.items()
        }
        above = {document: header for document, (header, _) in netsuite.items()}
        with loader(self.fake, reader_currency="USD") as writer:
            writer.limit_to(approved)
            loaded = load_documents(
                writer,
                TARGET,
                frame(TARGET, above),
                frame(LINES, below),
                resolver=Resolver(self.fake, {"order": TARGET}),
                plan_only=plan_only,
            )
            retirer = Retirer(writer, TARGET, brake(NO_LIMIT), plan_only=plan_only)
            retirer.removed(LINES, loaded.gone)
            retirer.deleted(sorted(self.deleted - netsuite.keys()))
            retired = retirer.run()
        planned = [
            PlannedChange("order", result.table, change)
            for result in (*loaded.tables, *retired.tables)
            for change in result.plan.changes
            if change.kind in WRITING
        ]
        ended = {row.status for row in loaded.documents}
        return planned, ended | {row.status for row in retired.documents.values()}

    def rows(self) -> dict[str, dict[str, dict[str, str]]]:
        return {table: deepcopy(rows) for table, rows in self.fake.tables.items() if rows}

    def edit(self, rows: Sequence[tuple[int, tuple[str, str] | None]]) -> None:
        for number, edit in rows:
            places = [(t, s) for t, held in sorted(self.fake.tables.items()) for s in sorted(held)]
            if not places:
                return
            table, sys_id = places[number % len(places)]
            if edit is None:
                del self.fake.tables[table][sys_id]
            elif edit[0] in self.fake.tables[table][sys_id]:
                self.fake.tables[table][sys_id].update([edit])


def grown(before: Documents, edited: Sequence[tuple[int, tuple[str, str] | None]]) -> Company:
    """An earlier state of NetSuite in ServiceNow, and what users did there since."""
    company = Company()
    company.sync(before)
    company.edit(edited)
    company.deleted = {*before}
    company.fake.writes.clear()
    return company


def as_writes(planned: Sequence[PlannedChange]) -> list[tuple[str, str, dict[str, str]]]:
    """The requests these changes are, one each."""
    return [
        ("POST", one.table, {**one.change.values, "sys_id": one.change.sys_id})
        if one.change.kind == "create"
        else ("DELETE", one.table, {"sys_id": one.change.sys_id})
        if one.change.deletes
        else ("PATCH", one.table, one.change.values)
        for one in planned
    ]


def in_order(writes: Sequence[tuple[str, str, dict[str, str]]]) -> list[str]:
    return sorted(f"{method} {table} {sorted(body.items())}" for method, table, body in writes)


def assert_holds(company: Company, netsuite: Documents, before: Documents) -> None:
    orders = {key: row for key, (row,) in company.fake.by_key("u_order").items()}
    below = {key: row for key, (row,) in company.fake.by_key("u_line").items()}
    for document, (header, _) in netsuite.items():
        row = orders[document]
        assert {n: row.get(n, "") for n in TEXTS["u_order"]} == {
            n: header[n] for n in TEXTS["u_order"]
        }
        assert Decimal(row["u_total"]) == Decimal(header["u_total"])
        currency, _, amount = row["total"].rpartition(";")
        if header["currency"] == "USD":  # in another currency users' own edits are not seen
            assert (currency, Decimal(amount)) == ("USD", Decimal(header["u_total"]))
    for document in before.keys() - netsuite.keys():
        if document in orders:  # else a user deleted it
            assert orders[document]["state"] == "canceled"
    expected = {
        f"{document}-{line_id}": (orders[document]["sys_id"], line)
        for document, (_, of_document) in netsuite.items()
        for line_id, line in of_document.items()
    }
    assert below.keys() == expected.keys()
    for key, (parent, line) in expected.items():
        row = below[key]
        assert row["parent"] == parent
        assert Decimal(row["amount"]) == Decimal(line["amount"])
        assert row["closed"] == line["closed"]


@settings(deadline=None)  # threads on a busy machine
@given(before=worlds, edited=edits, netsuite=worlds)
def test_an_agreed_plan_is_written_whole_and_nothing_else_is(before, edited, netsuite) -> None:
    company = grown(before, edited)
    kept = company.rows()
    planned, _ = company.sync(netsuite, plan_only=True)
    assert company.fake.writes == []
    assert company.rows() == kept

    _, ended = company.sync(netsuite, approved=Approved(planned))

    assert ended <= {"loaded", "retired", "unchanged"}
    assert in_order(company.fake.writes) == in_order(as_writes(planned))
    assert_holds(company, netsuite, before)
    touched = {(one.table, one.change.sys_id) for one in planned}
    for table, rows in kept.items():
        for sys_id, row in rows.items():
            if (table, sys_id) not in touched:
                assert company.fake.tables[table][sys_id] == row
    company.fake.writes.clear()
    assert company.sync(netsuite, plan_only=True)[0] == []
    company.sync(netsuite)
    assert company.fake.writes == []


@settings(deadline=None)  # threads on a busy machine
@given(before=worlds, edited=edits, netsuite=worlds, data=st.data())
def test_what_of_a_plan_was_not_agreed_to_is_not_written(before, edited, netsuite, data) -> None:
    company = grown(before, edited)
    planned, _ = company.sync(netsuite, plan_only=True)
    agreed = [one for one in planned if data.draw(st.booleans())]
    company.sync(netsuite, approved=Approved(agreed))
    allowed = in_order(as_writes(agreed))
    for one in in_order(company.fake.writes):
        allowed.remove(one)  # each at most once
    company.sync(netsuite)  # and what was left is done by the next sync
    assert_holds(company, netsuite, before)
